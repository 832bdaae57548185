/** The guest's clock, when the kernel has measured the processor's counter wrongly while it booted on a busy host. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../../test/support/until.ts";
import { qemuArguments } from "./arguments.ts";

const directory = mkdtempSync(join(tmpdir(), "clk-"));
const guest = join(import.meta.dir, "../../../.cache/guest");
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("a counter whose rate is wrong is not the clock", async () => {
  const share = join(directory, "share");
  const disk = join(directory, "disk");
  mkdirSync(share);
  writeFileSync(disk, "");
  truncateSync(disk, 1024 * 1024);
  const socket = (name: string): string => `path=${join(directory, name)}`;
  const args = qemuArguments({
    qemu: "qemu-system-x86_64",
    name: "clock",
    acceleration: "tcg",
    memoryBytes: 128 * 1024 * 1024,
    processors: 1,
    kernel: join(guest, "vmlinux"),
    initramfs: join(guest, "initramfs.cpio"),
    agentSocket: socket("agent"),
    monitorSocket: socket("monitor"),
    layers: [],
    disks: [disk],
    freshDisk: false,
    share,
    taps: [],
  });
  // No processor has a counter that slow: the clock would run ten times as fast, and more.
  const wrong = args.map((each) =>
    each.startsWith("console=") ? `${each.replace("quiet", "")} tsc_early_khz=100000` : each,
  );
  const qemu = Bun.spawn(wrong, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  try {
    let said = "";
    void qemu.stdout.pipeTo(
      new WritableStream({
        write: (data) => {
          said += Buffer.from(data).toString();
        },
      }),
    );
    await until("the agent has looked at the clock", () => said.includes("another clock is used"));
    expect(said).toMatch(/counter runs at \d{5,} thousandths of its rate/);
  } finally {
    qemu.kill("SIGKILL");
    await qemu.exited;
  }
}, 120_000);
