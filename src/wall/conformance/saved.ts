/** Promises of walls that can save a workload's memory: it is suspended and goes on, and has siblings. */
import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { type Sandbox, type SandboxSpec, suspendedPlace } from "../wall.ts";
import { type Bench, type DefinePromise, errorCodeOf, readLog, sigkill, TextReader } from "./bench.ts";

/** Counts up, one line for each number, until a line is entered. */
const count = "i=0; while ! read -t 0.05 line; do i=$((i+1)); echo $i; done; echo last $i; exit 6";

/** The numbers that a log has, in their order. */
function numbersOf({ logPath }: SandboxSpec): number[] {
  return [...readLog(logPath).stdout.toString().matchAll(/^\d+$/gm)].map(Number);
}

async function untilCounted(spec: SandboxSpec, least: number): Promise<number> {
  for (;;) {
    const last = numbersOf(spec).at(-1) ?? 0;
    if (last >= least) return last;
    await Bun.sleep(20);
  }
}

async function revive(bench: Bench, spec: SandboxSpec): Promise<Sandbox> {
  const wall = bench.wall;
  if (wall.revive === undefined) throw new Error("this wall revives nothing");
  return bench.keep(await wall.revive(spec));
}

export function describeSaved(promise: DefinePromise, bench: Bench): void {
  promise("a suspended workload is gone, and goes on where it was", async () => {
    const { sandbox, text } = await bench.attached(count, { stdin: true });
    const { spec } = sandbox;
    await text.until("3\n");
    await sandbox.suspend?.();
    expect(sandbox.pid()).toBeUndefined();
    expect(existsSync(spec.runtimeDirectory)).toBe(false);
    expect(existsSync(suspendedPlace(spec.directory))).toBe(true);
    const before = numbersOf(spec).at(-1) ?? 0;
    await bench.settle();
    expect(numbersOf(spec).at(-1)).toBe(before);
    const again = await revive(bench, spec);
    expect(existsSync(suspendedPlace(spec.directory))).toBe(false);
    await untilCounted(spec, before + 3);
    const attachment = await again.attach({ stdin: true });
    const rest = new TextReader(attachment);
    await attachment.write(Buffer.from("stop\n"));
    await rest.until("last");
    expect((await again.wait()).code).toBe(6);
    const numbers = numbersOf(spec);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });

  promise("a state is used once", async () => {
    const sandbox = await bench.started("sleep 1000");
    await sandbox.suspend?.();
    const again = await revive(bench, sandbox.spec);
    expect(await errorCodeOf(revive(bench, sandbox.spec))).toBe("cannotResume");
    await again.signal(sigkill);
    expect((await again.wait()).code).toBe(128 + sigkill);
  });

  promise("what never ran or has ended is not suspended", async () => {
    const waiting = await bench.created("exit 0");
    expect(await errorCodeOf(waiting.suspend?.() ?? Promise.resolve())).toBe("workloadNotRunning");
    await waiting.start();
    await waiting.wait();
    expect(await errorCodeOf(waiting.suspend?.() ?? Promise.resolve())).toBe("workloadNotRunning");
    expect(await errorCodeOf(waiting.fork?.([]) ?? Promise.resolve())).toBe("workloadNotRunning");
  });

  promise(
    "siblings begin as copies, and each goes its own way; their parent keeps its attachments",
    async () => {
      const { sandbox, text } = await bench.attached(count, { stdin: true });
      await text.until("3\n");
      const specs = ["one", "two"].map((hostname) => ({
        ...bench.spec({ hostname }),
        process: sandbox.spec.process,
      }));
      const siblings = (await sandbox.fork?.(specs)) ?? [];
      for (const sibling of siblings) bench.keep(sibling);
      expect(siblings.map(({ spec }) => spec.id)).toEqual(specs.map(({ id }) => id));
      const counted = text.length;
      await text.more(counted);
      for (const spec of specs) {
        const reached = await untilCounted(spec, 4);
        // It did not begin anew: its log begins where its parent was.
        expect(numbersOf(spec)[0]).toBeGreaterThan(2);
        await untilCounted(spec, reached + 2);
      }
      const [first, second] = siblings;
      if (first === undefined || second === undefined) throw new Error("there are no siblings");
      await first.signal(sigkill);
      expect((await first.wait()).code).toBe(128 + sigkill);
      await first.remove();
      const attachment = await second.attach({ stdin: true });
      await attachment.write(Buffer.from("stop\n"));
      expect((await second.wait()).code).toBe(6);
      const after = text.length;
      await text.more(after);
    },
  );

  promise("when siblings cannot be made, nothing of them is left and the workload goes on", async () => {
    const { sandbox, text } = await bench.attached(count, { stdin: true });
    await text.until("2\n");
    const good = bench.spec({});
    const bad = bench.spec({});
    // A file is where its runtime directory would have to be.
    await Bun.write(bad.runtimeDirectory, "");
    await expect(sandbox.fork?.([good, bad]) ?? Promise.resolve()).rejects.toThrow();
    expect(existsSync(good.runtimeDirectory)).toBe(false);
    const counted = text.length;
    await text.more(counted);
  });
}
