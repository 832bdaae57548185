/** The life cycle on fakes: states, exits, attachments, restarts, waits, events. */
import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Attachment } from "../wall/wall.ts";
import type { EngineEvent } from "./events.ts";
import type { MountRequest } from "./mounts/mount-request.ts";
import { EngineBench, requestOf } from "./testing/engine-bench.ts";
import type { Workload } from "./workload.ts";

let bench: EngineBench;
const never = new AbortController().signal;

beforeEach(async () => {
  bench = await EngineBench.open();
});
afterEach(() => bench[Symbol.asyncDispose]());

async function textOf(attachment: Attachment): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const { data } of attachment.output) parts.push(data);
  return Buffer.concat(parts).toString();
}

async function started(command: string, changes: Parameters<typeof requestOf>[1] = {}): Promise<Workload> {
  const workload = await bench.engine.create(requestOf(command, changes));
  await bench.engine.start(workload);
  return workload;
}

/** The workload's end, sandbox removal included. */
async function rested(workload: Workload): Promise<void> {
  await workload.ended;
  using _lock = await workload.lock.acquire();
}

function collectEvents(): EngineEvent[] {
  const events: EngineEvent[] = [];
  void (async () => {
    for await (const event of bench.engine.events.subscribe(never)) events.push(event);
  })();
  return events;
}

describe("create", () => {
  test("makes a workload that can be found by id, name and beginning of the id", async () => {
    const workload = await bench.engine.create(requestOf("sleep", { name: "web" }));
    expect(workload.state).toBe("created");
    expect(existsSync(workload.record.spec.directory)).toBe(true);
    expect(bench.images.leases).toBe(1);
    for (const word of ["web", "/web", workload.id, workload.id.slice(0, 4)])
      expect(bench.engine.find(word)).toBe(workload);
    expect(() => bench.engine.find("nobody")).toThrow("No such container: nobody");
  });

  test("refuses a name in use, an unknown image and a wall that is not there; nothing is left", async () => {
    await bench.engine.create(requestOf("sleep", { name: "web" }));
    await expect(bench.engine.create(requestOf("sleep", { name: "web" }))).rejects.toThrow("already in use");
    await expect(bench.engine.create(requestOf("sleep", { image: "other" }))).rejects.toThrow(
      "No such image",
    );
    bench.walls.vm.unavailable = "no QEMU: apt-get install qemu-system-x86";
    await expect(bench.engine.create(requestOf("sleep", { wall: "vm" }))).rejects.toThrow("no QEMU");
    expect(bench.engine.list()).toHaveLength(1);
    expect(bench.images.leases).toBe(1);
  });

  test("looks its image up once, when there are binds too", async () => {
    const resolve = spyOn(bench.images, "resolve");
    const bind: MountRequest = {
      ...{ type: "bind", source: bench.directory, target: "/data", options: [], way: "bind" },
      ...{ readOnly: false, makeSource: false, propagation: "", noCopy: false, subpath: "" },
      volume: { driver: "", options: {}, labels: {} },
    };
    await bench.engine.create(requestOf("sleep", { mounts: [bind] }));
    expect(resolve).toHaveBeenCalledTimes(1);
  });

  test("undoes what was done when a step fails", async () => {
    const failing = await EngineBench.open((step) => {
      if (step === "create:directory") throw new Error("no luck");
    });
    await expect(failing.engine.create(requestOf("sleep"))).rejects.toThrow("no luck");
    expect(failing.engine.list()).toEqual([]);
    expect(failing.images.leases).toBe(0);
    await failing.comeBack();
    expect(failing.engine.list()).toEqual([]);
    await failing[Symbol.asyncDispose]();
  });
});

describe("start and exit", () => {
  test("records the exit, takes the sandbox away, and can start again", async () => {
    const workload = await started("exit 7");
    await rested(workload);
    expect(workload.record).toMatchObject({ state: "exited", life: { exitCode: 7, sandbox: false } });
    expect(bench.world.sandboxes.size).toBe(0);
    await bench.engine.start(workload);
    await rested(workload);
    expect(workload.record.life.exitCode).toBe(7);
  });

  test("a second start changes nothing and says so", async () => {
    const workload = await started("sleep");
    await expect(bench.engine.start(workload)).rejects.toMatchObject({ code: "notModified" });
  });

  test("a program that is not there: 127, back to created, waiting attachments end, nothing is left", async () => {
    const workload = await bench.engine.create(requestOf("missing"));
    const attachment = await bench.engine.attach(workload, { stdin: false });
    const output = textOf(attachment);
    await expect(bench.engine.start(workload)).rejects.toMatchObject({ code: "commandNotFound" });
    expect(await output).toBe("");
    expect(workload.record).toMatchObject({ state: "created", life: { exitCode: 127, sandbox: false } });
    expect(workload.record.life.error).toContain("executable file not found");
    expect(bench.world.sandboxes.size).toBe(0);
  });

  test("an attachment made before the start sees the first byte", async () => {
    const workload = await bench.engine.create(requestOf("echo hello"));
    const output = textOf(await bench.engine.attach(workload, { stdin: false }));
    await bench.engine.start(workload);
    expect(await output).toBe("hello\n");
  });

  test("input written before the start arrives", async () => {
    const workload = await bench.engine.create(requestOf("cat", { stdin: true }));
    const attachment = await bench.engine.attach(workload, { stdin: true });
    const written = attachment.write(Buffer.from("early")).then(() => attachment.endInput());
    await bench.engine.start(workload);
    await written;
    expect(await textOf(attachment)).toBe("early");
  });

  test("an attachment that let go before the start is not connected", async () => {
    const workload = await bench.engine.create(requestOf("echo hello"));
    const attachment = await bench.engine.attach(workload, { stdin: false });
    attachment.detach();
    expect(workload.held.size).toBe(0);
    expect(await textOf(attachment)).toBe("");
  });

  test("a lost monitor is an error, not an exit code", async () => {
    const workload = await bench.engine.create(requestOf("lost"));
    const outcome = bench.engine.wait(workload, "next-exit", never);
    await bench.engine.start(workload);
    expect((await outcome)?.error).toContain("monitor");
    expect(workload.record.life.lost).toBe(true);
  });

  test("--rm goes with the end, and those who wait learn the exit code", async () => {
    const workload = await bench.engine.create(requestOf("exit 3", { autoRemove: true }));
    const outcome = bench.engine.wait(workload, "removed", never);
    await bench.engine.start(workload);
    expect(await outcome).toEqual({ code: 3 });
    expect(bench.engine.list()).toEqual([]);
    expect(existsSync(workload.record.spec.directory)).toBe(false);
    expect(bench.images.leases).toBe(0);
  });

  test("--rm goes with a failed start too", async () => {
    const workload = await bench.engine.create(requestOf("missing", { autoRemove: true }));
    await expect(bench.engine.start(workload)).rejects.toMatchObject({ code: "commandNotFound" });
    expect(bench.engine.list()).toEqual([]);
  });
});

describe("stop, kill, remove", () => {
  test("stop asks first and kills what does not listen", async () => {
    const polite = await started("sleep");
    await bench.engine.stop(polite, { timeout: undefined });
    expect(polite.record.life.exitCode).toBe(143);
    const stubborn = await started("stubborn");
    await bench.engine.stop(stubborn, { timeout: 0 });
    expect(stubborn.record.life.exitCode).toBe(137);
    await expect(bench.engine.stop(stubborn, { timeout: 0 })).rejects.toMatchObject({ code: "notModified" });
  });

  test("kill needs a running workload", async () => {
    const workload = await bench.engine.create(requestOf("sleep"));
    await expect(bench.engine.kill(workload, 9)).rejects.toMatchObject({ code: "workloadNotRunning" });
    await bench.engine.start(workload);
    await bench.engine.kill(workload, 2);
    await rested(workload);
    expect(workload.record.life.exitCode).toBe(130);
  });

  test("a running workload is removed by force only", async () => {
    const workload = await started("stubborn");
    await expect(bench.engine.remove(workload, { force: false })).rejects.toThrow("stop the container");
    const gone = bench.engine.wait(workload, "removed", never);
    await bench.engine.remove(workload, { force: true });
    expect(await gone).toEqual({ code: 137 });
    expect(() => bench.engine.find(workload.id)).toThrow("No such container");
    expect(bench.world.sandboxes.size).toBe(0);
  });

  test("two removals at once both succeed", async () => {
    const workload = await started("sleep");
    await Promise.all([
      bench.engine.remove(workload, { force: true }),
      bench.engine.remove(workload, { force: true }),
    ]);
    expect(bench.engine.list()).toEqual([]);
  });

  test("a removal that fails leaves a dead workload that can be removed again", async () => {
    let fail = true;
    const failing = await EngineBench.open((step) => {
      if (step === "remove:sandbox" && fail) throw new Error("no luck");
    });
    const workload = await failing.engine.create(requestOf("sleep"));
    await expect(failing.engine.remove(workload, { force: false })).rejects.toThrow("no luck");
    expect(workload.state).toBe("dead");
    await expect(failing.engine.start(workload)).rejects.toThrow("it can only be removed");
    fail = false;
    await failing.engine.remove(workload, { force: false });
    expect(failing.engine.list()).toEqual([]);
    await failing[Symbol.asyncDispose]();
  });

  test("a sandbox is discarded exactly when the writable layer goes with it", async () => {
    const endings: ["good" | "now", boolean, (workload: Workload) => Promise<void>][] = [
      ["now", false, (workload) => bench.engine.stop(workload, { timeout: 0 })],
      ["good", true, (workload) => bench.engine.stop(workload, { timeout: 0 })],
      ["good", false, (workload) => bench.engine.remove(workload, { force: true })],
    ];
    for (const [expected, autoRemove, end] of endings) {
      const workload = await started("sleep", { autoRemove });
      const sandbox = bench.world.sandboxes.get(workload.id);
      await end(workload);
      await rested(workload);
      expect(sandbox?.removedFor).toBe(expected);
    }
  });

  test("restart keeps an --rm workload", async () => {
    const workload = await started("sleep", { autoRemove: true });
    const { startedAt } = workload.record.life;
    const sandbox = bench.world.sandboxes.get(workload.id);
    await bench.engine.restart(workload, { timeout: 0 });
    expect(sandbox?.removedFor).toBe("now");
    expect(workload.state).toBe("running");
    expect(workload.record.life.startedAt).not.toBe(startedAt);
  });
});

describe("pause and rename", () => {
  test("a paused workload refuses what needs it to move, and can be stopped", async () => {
    const workload = await started("sleep");
    await bench.engine.pause(workload);
    expect(workload.state).toBe("paused");
    await expect(bench.engine.pause(workload)).rejects.toThrow("paused");
    await expect(bench.engine.attach(workload, { stdin: false })).rejects.toMatchObject({
      code: "workloadPaused",
    });
    await bench.engine.stop(workload, { timeout: 0 });
    expect(workload.state).toBe("exited");
    await expect(bench.engine.unpause(workload)).rejects.toThrow("only a paused one");
  });

  test("a rename frees the old name and keeps the new one over a restart of the daemon", async () => {
    const workload = await bench.engine.create(requestOf("sleep", { name: "old" }));
    await bench.engine.rename(workload, "new");
    await bench.engine.create(requestOf("sleep", { name: "old" }));
    await bench.comeBack();
    expect(bench.engine.find("new").id).toBe(workload.id);
  });
});

describe("restart policies", () => {
  test("on-failure gives up after its count", async () => {
    const workload = await bench.engine.create(
      requestOf("exit 1", { restart: { name: "on-failure", maximumRetryCount: 1 } }),
    );
    const rest = bench.engine
      .wait(workload, "next-exit", never)
      .then(() => bench.engine.wait(workload, "not-running", never));
    await bench.engine.start(workload);
    expect(await rest).toEqual({ code: 1 });
    expect(workload.record).toMatchObject({ state: "exited", life: { restartCount: 1 } });
  });

  test("a stop ends a workload that would be restarted, also between two runs", async () => {
    const restart = { name: "always", maximumRetryCount: 0 } as const;
    const workload = await started("sleep", { restart });
    await bench.engine.stop(workload, { timeout: 0 });
    expect(workload.state).toBe("exited");
    const failing = await bench.engine.create(requestOf("exit 1", { restart }));
    const exit = bench.engine.wait(failing, "next-exit", never);
    await bench.engine.start(failing);
    await exit;
    await bench.engine.stop(failing, { timeout: 0 });
    expect(failing.state).toBe("exited");
  });
});

describe("wait and events", () => {
  test("not-running is at once for what does not run, and ends with its reader", async () => {
    const workload = await bench.engine.create(requestOf("sleep"));
    expect(await bench.engine.wait(workload, "not-running", never)).toEqual({ code: 0 });
    const gone = new AbortController();
    const waiting = bench.engine.wait(workload, "next-exit", gone.signal);
    gone.abort();
    expect(await waiting).toBeUndefined();
  });

  test("who waits for a removal that fails is told so", async () => {
    const workload = await started("sleep", { autoRemove: true });
    const { sandbox } = workload;
    if (sandbox === undefined) throw new Error("a running workload has a sandbox");
    const remove = sandbox.remove.bind(sandbox);
    sandbox.remove = () => Promise.reject(new Error("the mount is busy"));
    const removed = bench.engine.wait(workload, "removed", never);
    await bench.engine.kill(workload, 9);
    expect(await removed).toEqual({
      code: 137,
      error: "the container was not removed: the mount is busy",
    });
    expect(workload.state).toBe("dead");
    sandbox.remove = remove;
    await bench.engine.remove(workload, { force: false });
    expect(bench.engine.list()).toEqual([]);
  });

  test("tell a whole life, with names, labels and exit code", async () => {
    const events = collectEvents();
    const workload = await started("sleep", { name: "web", labels: { tier: "front" } });
    await bench.engine.stop(workload, { timeout: 0 });
    await bench.engine.remove(workload, { force: false });
    await Bun.sleep(0);
    expect(events.map(({ action }) => action)).toEqual(["create", "start", "kill", "die", "stop", "destroy"]);
    expect(events.find(({ action }) => action === "die")?.attributes).toMatchObject({
      image: "some/image",
      name: "web",
      tier: "front",
      exitCode: "143",
    });
  });
});

describe("exec", () => {
  const request = {
    command: ["echo", "hi"],
    env: [],
    workingDirectory: "",
    user: "",
    terminal: false,
    stdin: false,
    stdout: true,
    stderr: true,
    size: undefined,
  };

  test("runs once, gives output and exit code", async () => {
    const workload = await started("sleep");
    const id = bench.engine.execs.create(workload, request);
    const attachment = await bench.engine.execs.start(id, { detach: false });
    if (attachment === undefined) throw new Error("an attached exec has an attachment");
    expect(await textOf(attachment)).toBe("hi\n");
    await bench.engine.execs.ended(id);
    expect(bench.engine.execs.get(id)).toMatchObject({ state: "exited", exitCode: 0 });
    await expect(bench.engine.execs.start(id, { detach: false })).rejects.toThrow("started already");
  });

  test("a program that is not there leaves 127", async () => {
    const workload = await started("sleep");
    const id = bench.engine.execs.create(workload, { ...request, command: ["missing"] });
    await expect(bench.engine.execs.start(id, { detach: true })).rejects.toMatchObject({
      code: "commandNotFound",
    });
    expect(bench.engine.execs.get(id).exitCode).toBe(127);
  });

  test("that loses the race with the workload's end says that nothing runs", async () => {
    const workload = await started("sleep");
    const { sandbox } = workload;
    if (sandbox === undefined) throw new Error("a running workload has a sandbox");
    sandbox.exec = async () => {
      await sandbox.signal(9);
      throw new Error("setns: No such process");
    };
    const id = bench.engine.execs.create(workload, request);
    await expect(bench.engine.execs.start(id, { detach: true })).rejects.toMatchObject({
      code: "workloadNotRunning",
    });
  });

  test("needs a running workload", async () => {
    const workload = await bench.engine.create(requestOf("sleep"));
    expect(() => bench.engine.execs.create(workload, request)).toThrow("is not running");
    expect(() => bench.engine.execs.get("0123")).toThrow("No such exec instance");
  });
});
