/** What a new daemon makes of what an old one left, on fakes. The real thing is in test/faults. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { EngineBench, requestOf } from "./testing/engine-bench.ts";

let bench: EngineBench;
const never = new AbortController().signal;

beforeEach(async () => {
  bench = await EngineBench.open();
});
afterEach(() => bench[Symbol.asyncDispose]());

/** Lets an engine do things and then die right after a step: nothing after that step is done or undone. */
async function dieAfter(step: string, command: string, autoRemove = false): Promise<EngineBench> {
  const died = Promise.withResolvers<void>();
  const dying = await EngineBench.open((name) => {
    if (name !== step) return;
    died.resolve();
    throw new Never();
  });
  const work = async () => {
    const workload = await dying.engine.create(requestOf(command, { name: "web", autoRemove }));
    await dying.engine.start(workload);
    await workload.ended;
  };
  work().catch(() => {});
  await died.promise;
  return dying;
}

/** Stands for the moment at which a process is gone: the undo that it causes belongs to the test's own process. */
class Never extends Error {}

describe("a new daemon", () => {
  test("finds a running workload, with its output and its exit", async () => {
    const created = await bench.engine.create(requestOf("cat", { name: "web", stdin: true }));
    await bench.engine.start(created);
    await bench.comeBack();
    const workload = bench.engine.find("web");
    expect(workload.state).toBe("running");
    expect(bench.images.leases).toBe(1);
    const exit = bench.engine.wait(workload, "next-exit", never);
    const attachment = await bench.engine.attach(workload, { stdin: true });
    await attachment.write(Buffer.from("still here"));
    await attachment.endInput();
    expect(await exit).toEqual({ code: 0 });
    const parts: Uint8Array[] = [];
    for await (const { data } of attachment.output) parts.push(data);
    expect(Buffer.concat(parts).toString()).toBe("still here");
  });

  test("learns the exit code of what ended while no daemon was there", async () => {
    const created = await bench.engine.create(requestOf("sleep", { name: "web" }));
    const brief = await bench.engine.create(requestOf("sleep", { name: "gone", autoRemove: true }));
    await bench.engine.start(created);
    await bench.engine.start(brief);
    const sandboxes = [...bench.world.sandboxes.values()];
    await bench.engine[Symbol.asyncDispose]();
    for (const sandbox of sandboxes) sandbox.program.finish(9);
    await bench.comeBack();
    const workload = bench.engine.find("web");
    // Its removal goes on in the background, and may be over by now.
    const gone = bench.engine.list().find(({ record }) => record.name === "gone");
    const removed = gone && bench.engine.wait(gone, "removed", never);
    await workload.ended;
    expect(workload.record).toMatchObject({ state: "exited", life: { exitCode: 9, lost: false } });
    await removed;
    expect(bench.engine.list().map(({ record }) => record.name)).toEqual(["web"]);
  });

  test("says so when a sandbox is gone without a trace, and starts what always runs", async () => {
    const always = { name: "always", maximumRetryCount: 0 } as const;
    const plain = await bench.engine.create(requestOf("sleep", { name: "plain" }));
    const steady = await bench.engine.create(requestOf("sleep", { name: "steady", restart: always }));
    await bench.engine.start(plain);
    await bench.engine.start(steady);
    bench.world.sandboxes.clear();
    await bench.comeBack();
    const { life, state } = bench.engine.find("plain").record;
    expect(state).toBe("exited");
    expect(life.lost).toBe(true);
    expect(life.error).toContain("restarted");
    const again = bench.engine.find("steady");
    for await (const event of bench.engine.events.subscribe(never)) if (event.action === "start") break;
    expect(again.state).toBe("running");
  });

  test("keeps a paused workload paused", async () => {
    const created = await bench.engine.create(requestOf("sleep", { name: "web" }));
    await bench.engine.start(created);
    await bench.engine.pause(created);
    await bench.comeBack();
    expect(bench.engine.find("web").state).toBe("paused");
    await bench.engine.unpause(bench.engine.find("web"));
    expect(bench.engine.find("web").state).toBe("running");
  });

  test("removes directories that belong to nobody, and forgets workloads without a directory", async () => {
    const created = await bench.engine.create(requestOf("sleep", { name: "web" }));
    await mkdir(join(bench.root, "workloads", "f".repeat(64), "upper"), { recursive: true });
    await mkdir(join(bench.state, "w", "ffffffffffff"), { recursive: true });
    await rm(created.record.spec.directory, { recursive: true });
    await bench.comeBack();
    expect(bench.engine.list()).toEqual([]);
    expect(await readdir(join(bench.root, "workloads"))).toEqual([]);
    expect(await readdir(join(bench.state, "w"))).toEqual([]);
  });

  test.each(["start:record", "start:network", "start:create-sandbox", "start:attach", "start:start-sandbox"])(
    "finds a workload at rest after a failure at %s",
    async (step) => {
      await using dying = await dieAfter(step, "sleep");
      await dying.comeBack();
      const workload = dying.engine.find("web");
      expect(workload.record).toMatchObject({ state: "created", life: { sandbox: false } });
      expect(dying.world.sandboxes.size).toBe(0);
      expect(existsSync(workload.record.spec.runtimeDirectory)).toBe(false);
    },
  );

  test("finishes the exit that another began", async () => {
    await using dying = await dieAfter("exit:record", "exit 5", true);
    await dying.comeBack();
    expect(dying.engine.list()).toEqual([]);
    expect(dying.world.sandboxes.size).toBe(0);
  });
});
