/** What the vm wall promises beyond the wall contract. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lendAcceleration } from "../../../test/support/known-acceleration.ts";
import { makeTinyLayer, type TinyLayer } from "../../../test/support/tiny-layer.ts";
import { vmSpec, vmWallOptions } from "../../../test/support/vm-wall.ts";
import { isHullError } from "../../contract/errors.ts";
import { mount, mountFlag, unmount } from "../../host/mount.ts";
import { readProc } from "../../host/process.ts";
import { run } from "../../host/spawn.ts";
import { parseLogLine } from "../log.ts";
import type { Sandbox, SandboxSpec, Wall } from "../wall.ts";
import { dial } from "./dial.ts";
import { FieldWriter } from "./fields.ts";
import { encodeFrame, preamble } from "./frames.ts";
import { frame, frames, protocolVersion, verbs } from "./protocol.ts";
import { createVmWall } from "./vm-wall.ts";

const patience = 180_000;
const directory = mkdtempSync(join(tmpdir(), "vm-"));
const options = vmWallOptions(join(directory, "state"));

let layer: TinyLayer;
let wall: Wall;
beforeAll(async () => {
  mkdirSync(options.stateDirectory);
  lendAcceleration(options.stateDirectory);
  layer = await makeTinyLayer();
  wall = createVmWall(options);
});
afterAll(async () => {
  await wall.close();
  await layer[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

function specOf(script: string, changes: Partial<SandboxSpec> = {}): SandboxSpec {
  return vmSpec({ directory, layers: [layer.path] }, script, changes);
}

function logged(spec: SandboxSpec): string {
  const lines = readFileSync(spec.logPath, "latin1").split("\n").slice(0, -1);
  return lines
    .map((line) => Buffer.from(parseLogLine(Buffer.from(line, "latin1"))?.data ?? []).toString())
    .join("");
}

async function outputOf(sandbox: Sandbox): Promise<string> {
  const attachment = await sandbox.attach({ stdin: false });
  await sandbox.start();
  const parts: Uint8Array[] = [];
  for await (const { data } of attachment.output) parts.push(data);
  return Buffer.concat(parts).toString();
}

/** Connects, writes, and goes without a word. */
async function sendRaw(path: string, bytes: Uint8Array): Promise<void> {
  const socket = await dial(path, Date.now() + 5000);
  await new Promise<void>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("data", () => undefined);
    socket.on("close", () => resolve());
    socket.write(bytes, () => socket.destroy());
  });
}

/** Waits until a value has been the same for `milliseconds`. */
async function unchangedFor(milliseconds: number, value: () => number): Promise<void> {
  for (let before = value(), since = Date.now(); Date.now() - since < milliseconds; await Bun.sleep(20)) {
    const now = value();
    if (now !== before) since = Date.now();
    before = now;
  }
}

describe("the vm wall", () => {
  test(
    "an image of a hundred layers runs, the upper layers over the lower ones",
    async () => {
      await using made = new AsyncDisposableStack();
      const layers = [layer.path];
      for (let index = 1; index < 100; index++) {
        const root = join(directory, `layer${index}`);
        mkdirSync(join(root, "layers"), { recursive: true });
        writeFileSync(join(root, "layers", String(index)), "");
        writeFileSync(join(root, "top"), `${index}\n`);
        const path = `${root}.erofs`;
        expect((await run(["mkfs.erofs", "--all-root", path, root])).code).toBe(0);
        layers.push(path);
      }
      const sandbox = await wall.create(specOf("ls /layers | wc -l; cat /top", { layers }));
      made.defer(() => sandbox.remove());
      expect(await outputOf(sandbox)).toBe("99\n99\n");
      expect((await sandbox.wait()).code).toBe(0);
    },
    patience,
  );

  test(
    "a daemon killed at any time neither loses nor repeats a byte, and the next one has the exit code",
    async () => {
      const spec = specOf(
        "i=0; while [ $i -lt 6000 ]; do i=$((i+1)); echo line $i of the output; done; exit 23",
      );
      const recovering = [
        `import { createVmWall } from ${JSON.stringify(join(import.meta.dir, "vm-wall.ts"))};`,
        `const wall = createVmWall(${JSON.stringify(options)});`,
        `const spec = ${JSON.stringify(spec)};`,
        "const found = await wall.recover(spec);",
        "if (found === undefined) await (await wall.create(spec)).start();",
        "else void found.wait();",
        'process.stdout.write("up");',
        "setInterval(() => undefined, 1000);",
      ].join("\n");
      for (const life of [0, 40, 150, 320]) {
        const daemon = Bun.spawn([process.execPath, "-e", recovering], { stdout: "pipe", stderr: "inherit" });
        const up = await daemon.stdout.getReader().read();
        expect(Buffer.from(up.value ?? []).toString()).toBe("up");
        // Whatever these times hit, the log must come out whole.
        await Bun.sleep(life);
        daemon.kill("SIGKILL");
        await daemon.exited;
      }
      await using last = new AsyncDisposableStack();
      const sandbox = await wall.recover(spec);
      if (sandbox === undefined) throw new Error("the sandbox is not found");
      last.defer(() => sandbox.remove());
      expect((await sandbox.wait()).code).toBe(23);
      const expected = Array.from({ length: 6000 }, (_, index) => `line ${index + 1} of the output\n`).join(
        "",
      );
      expect(logged(spec) === expected).toBe(true);
    },
    patience,
  );

  test(
    "a workload paused by a daemon that died is found paused, and goes on",
    async () => {
      await using made = new AsyncDisposableStack();
      const sandbox = await wall.create(specOf("while :; do sleep 0.05; [ -e /go ] && exit 8; done"));
      made.defer(() => sandbox.remove());
      await sandbox.start();
      await sandbox.pause();
      const other = createVmWall(options);
      made.defer(() => other.close());
      const found = await other.recover(sandbox.spec);
      const exec = {
        id: sandbox.spec.id,
        attach: false,
        process: { ...sandbox.spec.process, args: ["touch", "/go"] },
      };
      await expect(found?.exec(exec)).rejects.toThrow("is paused");
      await found?.resume();
      await found?.exec(exec);
      expect((await found?.wait())?.code).toBe(8);
    },
    patience,
  );

  test(
    "QEMU runs jailed: no root, no capabilities, no new privileges, filtered calls, nothing of the host to see",
    async () => {
      await using made = new AsyncDisposableStack();
      const sandbox = await wall.create(specOf("true"));
      made.defer(() => sandbox.remove());
      const status = readProc(sandbox.pid() ?? 0, "status") ?? "";
      const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
      for (const uid of field("Uid").split(/\s+/)) expect(Number(uid)).toBeGreaterThan(0x6fffffff);
      for (const set of ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"])
        expect(Number.parseInt(field(set), 16)).toBe(0);
      expect(field("NoNewPrivs")).toBe("1");
      expect(field("Seccomp")).toBe("2");
      // The jail's and QEMU's own.
      expect(Number(field("Seccomp_filters"))).toBeGreaterThanOrEqual(2);
      expect(readProc(sandbox.pid() ?? 0, "limits")).toMatch(/^Max core file size +0 +0 /m);
      const seen = await run(["ls", `/proc/${sandbox.pid()}/root/`]);
      expect(
        seen.stdout
          .split("\n")
          .filter((name) => name !== "")
          .sort(),
      ).toEqual(expect.not.arrayContaining(["etc", "home", "root", "var", "run"]));
    },
    patience,
  );

  test(
    "after the end the writable disk is whole, and its file no larger than what was written",
    async () => {
      await using made = new AsyncDisposableStack();
      const spec = specOf("head -c 3000000 /dev/urandom > /data; rm /data; echo kept > /kept");
      const sandbox = await wall.create(spec);
      made.defer(() => sandbox.remove());
      await sandbox.start();
      await sandbox.wait();
      await sandbox.remove();
      const disk = join(spec.directory, "disks/0.raw");
      const check = await run(["e2fsck", "-f", "-n", disk]);
      expect([check.code, check.stdout]).toEqual([0, expect.stringContaining("/65536")]);
      const { stdout } = await run(["du", "-k", disk]);
      expect(Number.parseInt(stdout, 10)).toBeLessThan(16_000);
    },
    patience,
  );

  test(
    "whatever reaches the agent's port, it answers the next daemon",
    async () => {
      await using made = new AsyncDisposableStack();
      const first = createVmWall(options);
      const created = await first.create(specOf("echo fine; exit 4"));
      made.defer(() => created.remove());
      const { spec } = created;
      await first.close();
      const noise = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7919) % 251));
      const request = encodeFrame(frames.request, 1, Buffer.alloc(frame.maximumPayload, 0xff));
      const start = new FieldWriter().u8(verbs.start).u32(0).u32(0xffffffff).take();
      const hello = encodeFrame(
        frames.hello,
        0,
        new FieldWriter().u32(protocolVersion).bytes(noise.subarray(0, 16)).take(),
      );
      const attacks = [
        noise,
        request,
        encodeFrame(frames.request, 2, start),
        encodeFrame(frames.input, 0, Buffer.alloc(3)),
        Buffer.concat(
          Array.from({ length: 300 }, () => encodeFrame(frames.requestPart, 3, request.subarray(0, 16_000))),
        ),
        request.subarray(0, 9000),
        Buffer.concat([preamble, hello, hello.subarray(0, 20)]),
      ];
      for (const bytes of attacks) await sendRaw(join(spec.runtimeDirectory, "vm/agent"), bytes);
      const sandbox = await wall.recover(spec);
      if (sandbox === undefined) throw new Error("the sandbox is not found");
      made.defer(() => sandbox.remove());
      expect(await outputOf(sandbox)).toBe("fine\n");
      expect((await sandbox.wait()).code).toBe(4);
    },
    patience,
  );

  test(
    "a guest whose kernel panics is lost, with the last words of its console",
    async () => {
      await using made = new AsyncDisposableStack();
      const sandbox = await wall.create(specOf("echo c > /proc/sysrq-trigger; sleep 1000"));
      made.defer(() => sandbox.remove());
      await sandbox.start();
      const error = await sandbox.wait().catch((reason: unknown) => reason);
      expect(isHullError(error, "vmLost")).toBe(true);
      expect(String(error)).toContain("Kernel panic - not syncing: sysrq triggered crash");
    },
    patience,
  );

  test(
    "a log on a full disk holds the workload up until there is room, and loses nothing",
    async () => {
      await using made = new AsyncDisposableStack();
      const small = mkdtempSync(join(directory, "small-"));
      mount({ source: "tmpfs", target: small, type: "tmpfs", data: "size=64k" });
      made.defer(() => unmount(small));
      const logPath = join(small, "log");
      const sandbox = await wall.create(specOf("yes 0123456789 | head -n 50000; exit 3", { logPath }));
      made.defer(() => sandbox.remove());
      await sandbox.start();
      // How full it gets depends on how much the guest sends at once: what does not fit whole is not written.
      await unchangedFor(1500, () => statfsSync(small).bavail);
      expect(sandbox.pid()).toBeDefined();
      expect(statSync(logPath).size).toBeLessThan(64 * 1024 + 1);
      mount({ source: "tmpfs", target: small, flags: mountFlag.remount, type: "tmpfs", data: "size=16m" });
      expect((await sandbox.wait()).code).toBe(3);
      expect(logged(sandbox.spec) === "0123456789\n".repeat(50_000)).toBe(true);
    },
    patience,
  );

  test(
    "a guest that fills the host's disk is told so, and goes on",
    async () => {
      await using made = new AsyncDisposableStack();
      const small = mkdtempSync(join(directory, "small-"));
      mount({ source: "tmpfs", target: small, type: "tmpfs", data: "size=40m" });
      made.defer(() => unmount(small));
      const script = "dd if=/dev/zero of=/fill bs=1M count=100 conv=fsync; echo wrote $?; echo on";
      const sandbox = await wall.create(specOf(script, { directory: small }));
      made.defer(() => sandbox.remove());
      expect(await outputOf(sandbox)).toMatch(/wrote 1\non\n$/);
      expect((await sandbox.wait()).code).toBe(0);
    },
    patience,
  );

  test(
    "layers that only the daemon could read are readable to QEMU",
    async () => {
      await using made = new AsyncDisposableStack();
      const path = join(directory, "private.erofs");
      copyFileSync(layer.path, path);
      chmodSync(path, 0o600);
      const sandbox = await wall.create(specOf("echo in", { layers: [path] }));
      made.defer(() => sandbox.remove());
      expect(await outputOf(sandbox)).toBe("in\n");
    },
    patience,
  );

  test("what is missing is named with what mends it", async () => {
    const noGuest = await createVmWall({ ...options, guestDirectory: "/nowhere" }).features();
    expect(noGuest.unavailable).toBe("the guest's /nowhere/vmlinux: run `./setup`");
    const noQemu = await createVmWall({ ...options, qemu: "no-such-qemu" }).features();
    expect(noQemu.unavailable).toContain("run `apt-get install qemu-system-x86`");
  });

  test("without KVM the wall says so, or refuses if it must have it", async () => {
    const features = await wall.features();
    if (features.label === "vm") return;
    expect(features).toMatchObject({ label: "vm (tcg)", sharesKernel: false });
    expect(features.warning).toContain("no security boundary");
    const strict = createVmWall({ ...options, requireKvm: true });
    const error = await strict.create(specOf("true")).catch((reason: unknown) => reason);
    expect(isHullError(error, "kvmRequired")).toBe(true);
  });

  test("too little memory and too many layers are refused before anything is made", async () => {
    const small = specOf("true", { resources: { memoryBytes: 16 * 1024 * 1024, cpus: 0, pids: 0 } });
    await expect(wall.create(small)).rejects.toThrow("invalid memory 16777216");
    const many = specOf("true", { layers: Array.from({ length: 1000 }, () => layer.path) });
    await expect(wall.create(many)).rejects.toThrow("1000 layers");
    for (const spec of [small, many]) expect(await wall.recover(spec)).toBeUndefined();
  });
});
