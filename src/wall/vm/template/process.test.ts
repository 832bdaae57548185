/** Machines that go on as a process that was kept, against real ones. Emulation only. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lendAcceleration } from "../../../../test/support/known-acceleration.ts";
import { rehearsalLayerWriter } from "../../../../test/support/rehearsal-layer.ts";
import { makeTinyLayer, type TinyLayer } from "../../../../test/support/tiny-layer.ts";
import { vmSpec, vmWallOptions } from "../../../../test/support/vm-wall.ts";
import type { LogFields, Logger } from "../../../contract/logger.ts";
import { run } from "../../../host/spawn.ts";
import type { Sandbox, SandboxSpec } from "../../wall.ts";
import { createVmWall, type VmWall, type VmWallOptions } from "../vm-wall.ts";

const patience = 240_000;
const directory = mkdtempSync(join(tmpdir(), "prc-"));
const guest = join(import.meta.dir, "../../../../.cache/guest");
const said: { message: string; fields: LogFields }[] = [];
const say = (message: string, fields: LogFields = {}): void => void said.push({ message, fields });
const log: Logger = { debug: say, info: say, warn: say, error: say };
const options = vmWallOptions(join(directory, "s"), {
  log,
  writeRehearsalLayer: rehearsalLayerWriter(guest),
});

let layer: TinyLayer;
let wall: VmWall | undefined;
let count = 0;
beforeAll(async () => {
  mkdirSync(options.stateDirectory);
  lendAcceleration(options.stateDirectory);
  const numbers = join(directory, "numbers");
  const source = join(import.meta.dir, "../../../../guest/test/random.c");
  const built = await run(["cc", "-static", "-O1", "-mrdrnd", "-mrdseed", "-o", numbers, source]);
  expect([built.code, built.stderr]).toEqual([0, ""]);
  layer = await makeTinyLayer({ "etc/machine-id": "", "etc/numbers": readFileSync(numbers) });
});
afterEach(async () => {
  await wall?.close();
  said.length = 0;
});
afterAll(async () => {
  await layer[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

function specOf(script: string, changes: Partial<SandboxSpec> = {}): SandboxSpec {
  return vmSpec({ directory, layers: [layer.path] }, script, { hostname: `vm${++count}`, ...changes });
}

async function outputOf(sandbox: Sandbox): Promise<string> {
  const attachment = await sandbox.attach({ stdin: false });
  await sandbox.start();
  const parts: Uint8Array[] = [];
  for await (const { data } of attachment.output) parts.push(data);
  expect((await sandbox.wait()).code).toBe(0);
  return Buffer.concat(parts).toString();
}

async function outputOfNew(script: string, changes?: Partial<SandboxSpec>): Promise<string> {
  const sandbox = await (wall as VmWall).create(specOf(script, changes));
  try {
    return await outputOf(sandbox);
  } finally {
    await sandbox.remove();
  }
}

const origin = (): unknown =>
  said.filter(({ message }) => message === "a virtual machine is up").at(-1)?.fields.from;

/** How the template is kept, once it is made. */
async function kept(): Promise<unknown> {
  for (;;) {
    const made = said.find(({ message }) => message.includes("template with the root of an image"));
    if (made !== undefined) return made.fields.from ?? made.fields.why;
    await Bun.sleep(10);
  }
}

/** A wall whose next workload goes on as a process. */
async function startTwice(changes: Partial<VmWallOptions> = {}): Promise<unknown> {
  wall = createVmWall({ ...options, ...changes });
  for (let time = 0; time < 2; time++) expect(await outputOfNew("echo done")).toBe("done\n");
  return await kept();
}

test(
  "a copy is like any other machine to its workload, and in its jail like any other QEMU",
  async () => {
    expect(await startTwice()).toBe("process");
    const sandbox = await (wall as VmWall).create(specOf("echo up; cat /proc/mounts; sleep 1000"));
    expect(origin()).toBe("process");
    const attachment = await sandbox.attach({ stdin: false });
    await sandbox.start();
    let output = "";
    for await (const { data } of attachment.output) {
      output += Buffer.from(data).toString();
      if (output.includes("overlay / ")) break;
    }
    attachment.detach();
    const pid = sandbox.pid() ?? 0;
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    expect(readFileSync(`/proc/${pid}/comm`, "utf8")).toBe("qemu-system-x86\n");
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toMatch(/^\S*qemu-system-x86_64\0-name\0hull-/);
    // The jail's filter of system calls, and QEMU's own over it.
    expect(status).toMatch(/^Seccomp_filters:\t2$/m);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    expect(status).toMatch(/^CapEff:\t0{16}$/m);
    const open = readdirSync(`/proc/${pid}/fd`).map((number) => readlinkSync(`/proc/${pid}/fd/${number}`));
    // Those of its disk, which no other QEMU may have meanwhile.
    const about = readdirSync(`/proc/${pid}/fdinfo`).map((number) =>
      readFileSync(`/proc/${pid}/fdinfo/${number}`, "utf8"),
    );
    expect(about.join("")).toMatch(/^lock:.*OFDLCK/m);
    for (const name of ["process", "working-set", "devices"])
      expect(open.filter((path) => path.startsWith(`/memfd:${name} `))).toEqual([]);
    // What one writes, no sibling has.
    const script = "echo mine > /file; dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null; sync";
    const exec = await sandbox.exec({ id: "e".repeat(64), process: specOf(script).process, attach: false });
    expect((await exec.wait()).code).toBe(0);
    expect(await outputOfNew("ls /file /big 2>/dev/null; echo none")).toBe("none\n");
    await sandbox.pause();
    await sandbox.resume();
    await sandbox.remove();
  },
  patience,
);

test(
  "copies share no numbers, and their kernels are told that they are copies",
  async () => {
    expect(await startTwice()).toBe("process");
    const script =
      "cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid /etc/machine-id; hostname; " +
      "head -c 16 /dev/urandom | od -An -tx1; date +%s; busybox cp /etc/numbers /n; chmod 755 /n; " +
      "/n; sleep 2; dmesg | grep -c 'virtual machine fork'";
    const process = { ...specOf("").process, args: ["sh", "-c", script], capabilities: ["CAP_SYSLOG"] };
    const outputs: string[] = [];
    for (let copy = 0; copy < 4; copy++) {
      outputs.push(await outputOfNew("", { process }));
      expect(origin()).toBe("process");
    }
    const rows = outputs.map((output) => output.trim().split("\n"));
    for (const column of [0, 1, 2, 3, 4, 6, 7])
      expect(new Set(rows.map((row) => row[column])).size).toBe(rows.length);
    for (const row of rows) {
      expect(Math.abs(Number(row[5]) * 1000 - Date.now())).toBeLessThan(patience);
      expect(Number(row[8])).toBeGreaterThan(0);
    }
  },
  patience,
);

test(
  "a copy has the volumes and the read-only ones of its own workload",
  async () => {
    expect(await startTwice()).toBe("process");
    const given = join(directory, "given");
    mkdirSync(given);
    chmodSync(given, 0o777);
    writeFileSync(join(given, "old"), "old\n");
    const mount = { type: "bind", source: given, options: [] } as const;
    const mounts = [
      { ...mount, target: "/rw", readOnly: false },
      { ...mount, target: "/ro", readOnly: true },
    ];
    const script =
      "cat /ro/old; echo new > /rw/new; cat /ro/new; (echo x > /ro/old) 2>/dev/null || echo refused";
    const output = await outputOfNew(script, { mounts });
    expect(output).toBe("old\nnew\nrefused\n");
    expect(origin()).toBe("process");
    expect(readFileSync(join(given, "new"), "utf8")).toBe("new\n");
    expect(readFileSync(join(given, "old"), "utf8")).toBe("old\n");
  },
  patience,
);

test(
  "where a process cannot be kept, or does not go on, a machine starts without",
  async () => {
    const broken = join(directory, "broken");
    cpSync(guest, broken, { recursive: true });
    const refusing = "#!/bin/sh\necho it does not stand still >&2\nexit 1\n";
    writeFileSync(join(broken, "hull-freeze"), refusing, { mode: 0o755 });
    expect(await startTwice({ guestDirectory: broken })).toBe("state");
    expect(await outputOfNew("echo done")).toBe("done\n");
    expect(origin()).toBe("template");
    await wall?.close();
    said.length = 0;

    cpSync(join(guest, "hull-freeze"), join(broken, "hull-freeze"));
    // It is no program of that kind: the jail starts it, and it ends.
    cpSync(join(guest, "hull-files"), join(broken, "hull-thaw"));
    expect(await startTwice({ guestDirectory: broken })).toBe("process");
    expect(await outputOfNew("echo done")).toBe("done\n");
    expect(origin()).toBe("template");
    expect(said.map(({ message }) => message)).toContain(
      "a template with the root of an image does not work",
    );
    // The next one of this image is no process.
    said.length = 0;
    expect(await kept()).toBe("state");
  },
  patience,
);
