/** What is particular to the container wall: layers, filters, and life after the daemon's death. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeTinyLayer, type TinyLayer } from "../../../test/support/tiny-layer.ts";
import { cgroupProcesses, detectCgroupLayout } from "../../host/cgroup.ts";
import { mountFile } from "../../host/loop.ts";
import { unmount } from "../../host/mount.ts";
import { parseMountInfo } from "../../host/mount-info.ts";
import { readProc } from "../../host/process.ts";
import { run } from "../../host/spawn.ts";
import type { ExecSession, ExitStatus, Sandbox, SandboxSpec, Wall } from "../wall.ts";
import { createContainerWall } from "./container-wall.ts";

const directory = mkdtempSync(join(tmpdir(), "cw-"));
const sandboxes: Sandbox[] = [];
let layer: TinyLayer;
let wall: Wall;

beforeAll(async () => {
  layer = await makeTinyLayer();
  wall = makeWall();
});

afterEach(async () => {
  for (const sandbox of sandboxes.splice(0)) await sandbox.remove();
});

afterAll(async () => {
  await wall.close();
  await layer[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

function makeWall(): Wall {
  return createContainerWall(wallOptions);
}

const wallOptions = {
  stateDirectory: join(directory, "state"),
  runtime: "crun",
  conmon: "conmon",
  seccompProfile: "/usr/share/containers/seccomp.json",
  filesProgram: join(import.meta.dir, "../../../.cache/guest/hull-files"),
};

function newId(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
}

function specOf(script: string, changes: Partial<SandboxSpec> = {}): SandboxSpec {
  const id = newId();
  const own = join(directory, id.slice(0, 8));
  mkdirSync(own);
  return {
    id,
    name: id.slice(0, 12),
    directory: own,
    runtimeDirectory: join(directory, `r${id.slice(0, 8)}`),
    layers: [layer.path],
    process: {
      args: ["sh", "-c", script],
      env: ["PATH=/bin"],
      cwd: "/",
      user: "",
      capabilities: ["CAP_CHOWN"],
      terminal: false,
      stdin: false,
      stdinOnce: false,
    },
    hostname: "box",
    readOnlyRoot: false,
    resources: { memoryBytes: 0, cpus: 0, pids: 0 },
    logPath: join(own, "log"),
    ...changes,
  };
}

async function runToEnd(spec: SandboxSpec): Promise<{ readonly log: string; readonly status: ExitStatus }> {
  const sandbox = await wall.create(spec);
  sandboxes.push(sandbox);
  await sandbox.start();
  const status = await sandbox.wait();
  return { log: readFileSync(spec.logPath, "utf8"), status };
}

test("what an attachment has not read yet outlives the removal of the sandbox", async () => {
  // A little more than an attachment holds (512 KiB): the last of it waits in the socket when the monitor goes, and
  // fits into it however small the packets are.
  const size = 540_000;
  const sandbox = await wall.create(specOf(`head -c ${size} /dev/zero`));
  sandboxes.push(sandbox);
  const attachment = await sandbox.attach({ stdin: false });
  await sandbox.start();
  await sandbox.wait();
  await sandbox.remove();
  let received = 0;
  for await (const chunk of attachment.output) received += chunk.data.length;
  expect(received).toBe(size);
});

describe("layers", () => {
  test("150 of them are stacked, the top one winning", async () => {
    const small = await makeLayers(150);
    const script = "cat /which; ls /many | wc -l";
    const { log, status } = await runToEnd(specOf(script, { layers: [layer.path, ...small] }));
    expect(status.code).toBe(0);
    expect(log).toContain("stdout F layer 149\n");
    expect(log).toContain("stdout F 150\n");
  }, 60_000);

  test("may be there twice, the top one counting", async () => {
    const [first = "", second = ""] = await makeLayers(2);
    const layers = [first, layer.path, second, first, layer.path];
    const { log, status } = await runToEnd(specOf("cat /which; ls /many | wc -l", { layers }));
    expect(status.code).toBe(0);
    expect(log).toContain("stdout F layer 0\n");
    expect(log).toContain("stdout F 2\n");
  });

  test("are mounted once for all, and unmounted with the wall", async () => {
    const base = join(directory, "state/layers");
    const before = mountsBelow(base).length;
    const own = makeWall();
    const specs = [specOf("true"), specOf("true")];
    const made = await Promise.all(specs.map((spec) => own.create(spec)));
    const during = mountsBelow(base).length;
    for (const sandbox of made) await sandbox.remove();
    await own.close();
    expect([during, mountsBelow(base).length]).toEqual([before + 1, before]);
  });

  test("that are no EROFS are refused, and nothing is left", async () => {
    const path = join(directory, "broken");
    writeFileSync(path, Buffer.alloc(8192, 7));
    const spec = specOf("true", { layers: [path] });
    const before = mountsBelow(directory).length;
    await expect(wall.create(spec)).rejects.toMatchObject({ code: "corrupt" });
    expect(await wall.recover(spec)).toBeUndefined();
    expect(mountsBelow(directory)).toHaveLength(before);
  });

  test("can be mounted through a loop device, which goes with the mount", async () => {
    const target = join(directory, "loop");
    mkdirSync(target);
    try {
      await mountFile({ path: layer.path, type: "erofs", target, readOnly: true });
    } catch (error) {
      if (!String(error).includes("modprobe loop")) throw error;
      console.log("skipped: this host has no loop devices");
      return;
    }
    expect(readFileSync(join(target, "etc/os-release"), "utf8")).toContain("Tiny");
    unmount(target);
    const { stdout } = await run(["losetup", "--associated", layer.path]);
    expect(stdout).toBe("");
  });

  test("an image without any still gives its workload a root", async () => {
    const sandbox = await wall.create(specOf("true", { layers: [] }));
    sandboxes.push(sandbox);
    await expect(sandbox.start()).rejects.toMatchObject({ code: "commandNotFound" });
  });
});

test("names that cannot be are refused in words of their own", async () => {
  const refusal = async (changes: Partial<SandboxSpec["process"]>): Promise<unknown> => {
    const spec = specOf("true");
    const sandbox = await wall.create({ ...spec, process: { ...spec.process, ...changes } });
    sandboxes.push(sandbox);
    return sandbox.start().catch((error: unknown) => error);
  };
  const long = "a".repeat(300);
  expect(await refusal({ args: [long] })).toMatchObject({ code: "commandNotFound" });
  expect(await refusal({ args: ["/no\0thing"] })).toMatchObject({ code: "commandNotFound" });
  for (const cwd of [`/${long}`, "/no\0thing"])
    expect(await refusal({ cwd })).toMatchObject({ code: "workingDirectoryInvalid" });
});

test("an exec is refused a directory that cannot be made, and no file of the workload's stops the daemon", async () => {
  const spec = specOf("sleep 1000", { readOnlyRoot: true });
  const sandbox = await wall.create(spec);
  sandboxes.push(sandbox);
  await sandbox.start();
  const exec = (changes: Partial<SandboxSpec["process"]>): Promise<unknown> =>
    sandbox
      .exec({ id: newId(), process: { ...spec.process, ...changes }, attach: false })
      .catch((error: unknown) => error);
  for (const cwd of ["/missing", "/proc/missing", "/sys/missing"])
    expect(await exec({ cwd })).toMatchObject({ code: "workingDirectoryInvalid" });
  // The kernel's log, which is waited for when it is read.
  expect(await exec({ args: ["/proc/kmsg"] })).toMatchObject({ code: "commandNotExecutable" });
});

test("a list of users that leads to the kernel's log is empty", async () => {
  const script = "rm /etc/passwd; ln -s /proc/kmsg /etc/passwd; chmod 755 /proc/kmsg; echo ready; sleep 1000";
  const spec = specOf(script);
  const sandbox = await wall.create(spec);
  sandboxes.push(sandbox);
  const attachment = await sandbox.attach({ stdin: false });
  await sandbox.start();
  await attachment.output[Symbol.asyncIterator]().next();
  const exec = (args: readonly string[]): Promise<ExecSession> =>
    sandbox.exec({ id: newId(), process: { ...spec.process, args }, attach: false });
  expect((await (await exec(["sh", "-c", "exit 3"])).wait()).code).toBe(3);
  await expect(exec(["/proc/kmsg"])).rejects.toMatchObject({ code: "commandNotExecutable" });
  expect((await sandbox.processes()).length).toBeGreaterThan(0);
}, 20_000);

test("the seccomp filter that is used again is the one that was compiled", async () => {
  const own = makeWall();
  const filters: Buffer[] = [];
  for (let time = 0; time < 3; time += 1) {
    const spec = specOf("grep Seccomp /proc/self/status");
    const sandbox = await own.create(spec);
    sandboxes.push(sandbox);
    filters.push(readFileSync(join(wallOptions.stateDirectory, "oci", spec.id, "seccomp.bpf")));
    const annotated = readFileSync(join(spec.runtimeDirectory, "config.json"), "utf8").includes(
      "seccomp_bpf_data",
    );
    expect(annotated).toBe(time > 0);
    await sandbox.start();
    await sandbox.wait();
    expect(readFileSync(spec.logPath, "utf8")).toMatch(/Seccomp:\t2\n.*Seccomp_filters:\t1\n/);
  }
  const [compiled, ...reused] = filters;
  expect(compiled?.length).toBeGreaterThan(1000);
  for (const filter of reused) expect(compiled?.equals(filter)).toBe(true);
  await own.close();
});

test("the host's directories are not visible, masked paths are empty, /proc/sys is read-only", async () => {
  const script = `ls ${directory} 2>&1; wc -c < /proc/kcore; echo 1 2>&1 > /proc/sys/kernel/hostname || echo refused; ls /proc/acpi | wc -l`;
  const { log } = await runToEnd(specOf(script));
  expect(log).toContain("No such file or directory");
  expect(log).toContain("stdout F 0\n");
  expect(log).toContain("refused");
});

test("an attachment that nobody reads holds the workload up instead of filling memory", async () => {
  const sandbox = await wall.create(specOf("head -c 200000000 /dev/zero"));
  sandboxes.push(sandbox);
  const before = process.memoryUsage.rss();
  const attachment = await sandbox.attach({ stdin: false });
  await sandbox.start();
  const ended = sandbox.wait();
  expect(await Promise.race([ended, Bun.sleep(700).then(() => "held up")])).toBe("held up");
  expect(process.memoryUsage.rss() - before).toBeLessThan(50_000_000);
  attachment.detach();
  expect((await ended).code).toBe(0);
}, 30_000);

describe("the daemon's death", () => {
  /** A daemon that makes one workload in a mount namespace of its own, is killed, and may do so at any time. */
  async function leaveBehind(spec: SandboxSpec, lives = "for ever"): Promise<void> {
    const program = join(directory, "daemon.ts");
    const modules = join(import.meta.dir, "../..");
    writeFileSync(
      program,
      `import { startAgainInPrivateMounts } from "${modules}/host/mount-namespace.ts";
      import { createContainerWall } from "${modules}/wall/container/container-wall.ts";
      startAgainInPrivateMounts([]);
      const die = () => process.kill(process.pid, "SIGKILL");
      const [, , options, spec, lives] = process.argv.map((argument, index) => index === 2 || index === 3 ? JSON.parse(argument) : argument);
      if (lives !== "for ever") setTimeout(die, Number(lives));
      const wall = createContainerWall(options);
      const sandbox = await wall.create(spec);
      await sandbox.start();
      die();`,
    );
    const command = [process.execPath, program, JSON.stringify(wallOptions), JSON.stringify(spec), lives];
    const { code, stderr } = await run(command);
    expect([code, stderr]).toEqual([137, ""]);
  }

  test("leaves a workload running, which the next daemon finds in another mount namespace", async () => {
    const spec = specOf("echo early; while [ ! -e /stop ]; do sleep 0.02; done; echo late; exit 21", {
      directory: join(directory, "survivor"),
    });
    mkdirSync(spec.directory, { recursive: true });
    await leaveBehind(spec);
    const sandbox = await wall.recover(spec);
    if (sandbox === undefined) throw new Error("it is not found");
    sandboxes.push(sandbox);
    expect(sandbox.pid()).toBeDefined();
    const exec = (script: string): Promise<ExecSession> =>
      sandbox.exec({ id: newId(), process: { ...spec.process, args: ["sh", "-c", script] }, attach: false });
    expect((await (await exec("exit 4")).wait()).code).toBe(4);
    await exec("touch /stop");
    expect((await sandbox.wait()).code).toBe(21);
    expect(readFileSync(spec.logPath, "utf8")).toMatch(/ F early\n.* F late\n$/);
  });

  test("hides no exit code of a workload that ended meanwhile", async () => {
    const spec = specOf("exit 33");
    await leaveBehind(spec);
    const sandbox = await wall.recover(spec);
    if (sandbox === undefined) throw new Error("it is not found");
    sandboxes.push(sandbox);
    expect((await sandbox.wait()).code).toBe(33);
  });

  test("at any moment of a creation leaves nothing that cannot be removed", async () => {
    for (const milliseconds of [0, 10, 20, 30, 40, 60, 80, 120, 180]) {
      const spec = specOf("sleep 1000");
      await leaveBehind(spec, String(milliseconds));
      const sandbox = await wall.recover(spec);
      await sandbox?.remove();
      expect(await wall.recover(spec)).toBeUndefined();
      expect(processesWith(spec.id)).toEqual([]);
      expect(cgroupProcesses(detectCgroupLayout(), `/hull/${spec.id}`)).toEqual([]);
      expect(existsSync(join(wallOptions.stateDirectory, "oci", spec.id))).toBe(false);
    }
  }, 60_000);

  test("before anything was made leaves nothing that cannot be removed", async () => {
    const spec = specOf("true");
    mkdirSync(spec.runtimeDirectory);
    writeFileSync(join(spec.runtimeDirectory, "config.json"), "{}");
    const sandbox = await wall.recover(spec);
    if (sandbox === undefined) throw new Error("it is not found");
    expect(sandbox.pid()).toBeUndefined();
    await expect(sandbox.wait()).rejects.toMatchObject({ code: "monitorLost" });
    await sandbox.remove();
    expect(await wall.recover(spec)).toBeUndefined();
  });
});

/** Processes that have `word` among their arguments. */
function processesWith(word: string): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    const command = /^\d+$/.test(pid) ? readProc(Number(pid), "cmdline")?.replaceAll("\0", " ") : undefined;
    return command?.includes(word) ? [`${pid}: ${command}`] : [];
  });
}

function mountsBelow(path: string): string[] {
  const mounts = parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));
  return mounts.map(({ mountPoint }) => mountPoint).filter((mountPoint) => mountPoint.startsWith(`${path}/`));
}

async function makeLayers(count: number): Promise<string[]> {
  const paths: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const tree = join(directory, `tree-${index}`);
    mkdirSync(join(tree, "many"), { recursive: true });
    writeFileSync(join(tree, "which"), `layer ${index}\n`);
    writeFileSync(join(tree, "many", String(index)), "");
    const path = join(directory, `layer-${index}`);
    paths.push(path);
    expect((await run(["mkfs.erofs", "--all-root", path, tree])).code).toBe(0);
  }
  return paths;
}
