/** Suspended workloads and siblings, on fakes: states, what clients may do, what crashes leave. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mount, mountFlag, unmount } from "../host/mount.ts";
import { suspendedPlace } from "../wall/wall.ts";
import type { EngineEvent } from "./events.ts";
import { shortId } from "./names.ts";
import { EngineBench, requestOf } from "./testing/engine-bench.ts";
import type { Workload } from "./workload.ts";

let bench: EngineBench;
const never = new AbortController().signal;
const stopping = { timeout: 10 };

beforeEach(async () => {
  bench = await EngineBench.open();
});
afterEach(() => bench[Symbol.asyncDispose]());

async function started(changes: Parameters<typeof requestOf>[1] = {}, command = "sleep"): Promise<Workload> {
  const request = requestOf(command, { wall: "vm", name: "box", ...changes });
  const workload = await bench.engine.create(request);
  await bench.engine.start(workload);
  return workload;
}

async function suspended(changes: Parameters<typeof requestOf>[1] = {}): Promise<Workload> {
  const workload = await started(changes);
  await bench.engine.suspend(workload);
  return workload;
}

function place(workload: Workload): string {
  return suspendedPlace(workload.record.spec.directory);
}

/** A crash between what the wall did and the record of it. */
async function comeBackWith(workload: Workload, failing: () => Promise<void>): Promise<Workload> {
  await failing();
  await bench.comeBack();
  return bench.engine.find(workload.id);
}

describe("a suspended workload", () => {
  test("has no sandbox, goes on, and may be suspended again", async () => {
    const events: EngineEvent[] = [];
    void (async () => {
      for await (const event of bench.engine.events.subscribe(never)) events.push(event);
    })();
    const workload = await suspended();
    expect(workload.state).toBe("suspended");
    expect(workload.sandbox).toBeUndefined();
    expect(workload.live).toBe(true);
    await expect(bench.engine.suspend(workload)).rejects.toThrow("is suspended");
    await bench.engine.resume(workload);
    expect(workload.state).toBe("running");
    await expect(bench.engine.resume(workload)).rejects.toThrow("only a suspended one");
    await bench.engine.suspend(workload);
    await bench.engine.start(workload);
    await bench.engine.suspend(workload);
    await bench.engine.unpause(workload);
    expect(workload.state).toBe("running");
    const pauses = () => events.map(({ action }) => action).filter((action) => /pause/.test(action));
    while (pauses().length < 6) await Bun.sleep(1);
    expect(pauses()).toEqual(["pause", "unpause", "pause", "unpause", "pause", "unpause"]);
  });

  test("answers nothing that needs it to move", async () => {
    const workload = await suspended();
    const exec = { command: ["true"], env: [], workingDirectory: "", user: "", terminal: false } as const;
    const attempts = [
      () => bench.engine.attach(workload, { stdin: false }),
      () => bench.engine.kill(workload, 1),
      () => bench.engine.pause(workload),
      () => bench.engine.processes(workload),
      () => bench.engine.resize(workload, { columns: 80, rows: 24 }),
      () => bench.engine.fork(workload, { count: 1, name: undefined }),
      async () =>
        bench.engine.execs.create(workload, {
          ...exec,
          stdin: false,
          stdout: true,
          stderr: true,
          size: undefined,
        }),
    ];
    for (const attempt of attempts)
      await expect(attempt()).rejects.toMatchObject({ code: "workloadSuspended" });
    expect(await bench.engine.stats(workload)).toBeUndefined();
    await expect(bench.engine.remove(workload, { force: false })).rejects.toThrow("is suspended");
  });

  test("is stopped in order: it goes on for it", async () => {
    const workload = await suspended();
    const exit = bench.engine.wait(workload, "next-exit", never);
    await bench.engine.stop(workload, stopping);
    expect(await exit).toEqual({ code: 143 });
    expect(workload.state).toBe("exited");
    expect(existsSync(place(workload))).toBe(false);
  });

  test("is given up by a kill, whatever its restart policy, and starts anew", async () => {
    const workload = await suspended({ restart: { name: "always", maximumRetryCount: 0 } });
    const exit = bench.engine.wait(workload, "next-exit", never);
    await bench.engine.kill(workload, 9);
    expect(await exit).toEqual({ code: 137 });
    expect(workload.state).toBe("exited");
    expect(existsSync(place(workload))).toBe(false);
    await bench.engine.start(workload);
    expect(workload.state).toBe("running");
  });

  test("is given up by a stop that had begun before and waits for its end", async () => {
    const workload = await started({}, "stubborn");
    const signalled = bench.engine.events.subscribe(never)[Symbol.asyncIterator]().next();
    const stop = bench.engine.stop(workload, { timeout: 0.2 });
    await signalled;
    await bench.engine.suspend(workload);
    await stop;
    expect(workload.state).toBe("exited");
    expect(existsSync(place(workload))).toBe(false);
  });

  test("is given up at once: one that cannot be taken away whole is not left in part", async () => {
    const workload = await suspended();
    const { directory } = workload.record.spec;
    await rm(place(workload));
    await mkdir(place(workload));
    await writeFile(join(place(workload), "memory"), "");
    // What something is mounted on cannot be renamed or removed.
    mount({ source: place(workload), target: place(workload), type: "", flags: mountFlag.bind });
    try {
      await expect(bench.engine.kill(workload, 9)).rejects.toThrow();
      expect(await readdir(place(workload))).toEqual(["memory"]);
      expect(workload.state).toBe("suspended");
    } finally {
      unmount(place(workload));
    }
    await bench.engine.kill(workload, 9);
    expect((await readdir(directory)).filter((name) => name.startsWith("suspended"))).toEqual([]);
  });

  test("is removed by force, with its memory", async () => {
    const workload = await suspended();
    await bench.engine.remove(workload, { force: true });
    expect(await readdir(join(bench.root, "workloads"))).toEqual([]);
  });

  test("stays suspended when it cannot be resumed, and says so", async () => {
    const workload = await suspended();
    await writeFile(place(workload), "damage");
    await expect(bench.engine.resume(workload)).rejects.toMatchObject({ code: "cannotResume" });
    await expect(bench.engine.stop(workload, stopping)).rejects.toMatchObject({ code: "cannotResume" });
    expect(workload.state).toBe("suspended");
    await bench.comeBack();
    expect(bench.engine.find("box").state).toBe("suspended");
  });

  test("is found again by the next daemon, and let be, whatever its restart policy", async () => {
    await suspended({ restart: { name: "always", maximumRetryCount: 0 } });
    await bench.comeBack();
    const workload = bench.engine.find("box");
    expect(workload.state).toBe("suspended");
    await bench.engine.resume(workload);
    expect(workload.state).toBe("running");
    await bench.engine.kill(workload, 9);
    await workload.ended;
  });
});

describe("a crash while a workload is suspended or resumed", () => {
  test("after its state was saved, and before the record says so", async () => {
    const workload = await started();
    const { sandbox } = workload;
    const found = await comeBackWith(workload, async () => {
      await sandbox?.suspend?.();
      // The machine was not ended yet.
      if (sandbox !== undefined) bench.world.sandboxes.set(workload.id, sandbox as never);
    });
    expect(found.state).toBe("suspended");
    expect(bench.world.sandboxes.size).toBe(0);
  });

  test("after its state was used, and before the record says so", async () => {
    const workload = await suspended();
    const found = await comeBackWith(workload, async () => {
      await bench.walls.vm.revive?.(workload.record.spec);
    });
    expect(found.state).toBe("running");
    await bench.engine.kill(found, 9);
    await found.ended;
  });

  test("after its state was used, and its machine was lost", async () => {
    const workload = await suspended();
    const found = await comeBackWith(workload, () => rm(place(workload)));
    expect([found.state, found.record.life.lost]).toEqual(["exited", true]);
  });
});

describe("siblings", () => {
  test("run, have names and host names of their own, and end by themselves", async () => {
    const parent = await started({ labels: { app: "web" } });
    const siblings = await bench.engine.fork(parent, { count: 3, name: "twin" });
    expect(siblings.map(({ record }) => record.name)).toEqual(["twin-1", "twin-2", "twin-3"]);
    expect(bench.images.leases).toBe(4);
    for (const sibling of siblings) {
      const { spec, labels } = sibling.record;
      expect(sibling.state).toBe("running");
      expect(spec.hostname).toBe(shortId(sibling.id));
      expect(spec.process.env).toContain(`HOSTNAME=${spec.hostname}`);
      expect(labels).toEqual({ app: "web" });
    }
    const [first, second] = siblings;
    if (first === undefined || second === undefined) throw new Error("there are no siblings");
    await bench.engine.kill(first, 9);
    await first.ended;
    expect([parent.state, second.state]).toEqual(["running", "running"]);
    await bench.comeBack();
    expect(bench.engine.find("twin-2").state).toBe("running");
  });

  test("a host name that was set stays, and so does the one sibling's name", async () => {
    const parent = await started({ hostname: "db" });
    const [sibling] = await bench.engine.fork(parent, { count: 1, name: "copy" });
    expect(sibling?.record.name).toBe("copy");
    expect(sibling?.record.spec.hostname).toBe("db");
  });

  test.each(["fork:record", "fork:lease", "fork:directory", "fork:sandboxes", "fork:settle"])(
    "all or none: a failure after %s leaves the parent alone",
    async (step) => {
      await bench[Symbol.asyncDispose]();
      bench = await EngineBench.open((name) => {
        if (name === step) throw new Error(`after ${step}`);
      });
      const parent = await started();
      await expect(bench.engine.fork(parent, { count: 2, name: "twin" })).rejects.toThrow(`after ${step}`);
      expect(bench.engine.list()).toEqual([parent]);
      expect([...bench.world.sandboxes.keys()]).toEqual([parent.id]);
      expect(await readdir(join(bench.root, "workloads"))).toEqual([parent.id]);
      expect(bench.images.leases).toBe(1);
      expect(parent.state).toBe("running");
    },
  );

  test("what is no number of siblings, a name in use and a workload that does not run are refused", async () => {
    const parent = await started();
    const fork = (count: number, name?: string) => bench.engine.fork(parent, { count, name });
    for (const count of [0, -1, 1.5, 101]) await expect(fork(count)).rejects.toThrow("invalid count");
    await expect(fork(1, "box")).rejects.toThrow("already in use");
    await bench.engine.kill(parent, 9);
    await parent.ended;
    await expect(fork(1)).rejects.toThrow("is not running");
  });
});

test("on a wall that cannot save memory, all of it is refused with what to do instead", async () => {
  const workload = await started({ wall: "container" });
  await expect(bench.engine.suspend(workload)).rejects.toThrow(
    "not supported on the container wall: pause it",
  );
  await expect(bench.engine.resume(workload)).rejects.toThrow("not supported on the container wall");
  await expect(bench.engine.fork(workload, { count: 1, name: undefined })).rejects.toThrow("--isolation vm");
  expect(workload.state).toBe("running");
});
