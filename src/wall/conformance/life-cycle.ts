/** Promises about the end of a workload, failed starts, removal and recovery. */

import { expect } from "bun:test";
import {
  type Bench,
  collect,
  type DefinePromise,
  errorCodeOf,
  readLog,
  shell,
  sighup,
  sigkill,
  sigterm,
  type WallUnderTest,
} from "./bench.ts";

export function describeEnd(promise: DefinePromise, bench: Bench): void {
  promise("the exit code is the program's", async () => {
    for (const code of [0, 1, 7, 255]) expect((await bench.run(`exit ${code}`)).status.code).toBe(code);
  });

  promise("a workload ended by a signal has 128 + its number", async () => {
    const sandbox = await bench.started("echo ready; sleep 1000");
    await sandbox.signal(sigkill);
    expect((await sandbox.wait()).code).toBe(128 + sigkill);
  });

  promise("a handled signal reaches the program", async () => {
    const { sandbox, text } = await bench.attached(
      "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.05; done",
    );
    await text.until("ready");
    await sandbox.signal(sigterm);
    await text.until("got it");
    expect((await sandbox.wait()).code).toBe(5);
  });

  promise("a first process without a handler ignores a signal, as the kernel has it", async () => {
    const { sandbox, text } = await bench.attached("echo ready; sleep 0.3; echo still here; exit 3");
    await text.until("ready");
    await sandbox.signal(sighup);
    await sandbox.signal(sigterm);
    await text.until("still here");
    expect((await sandbox.wait()).code).toBe(3);
  });

  promise("wait may be called before, during and after, and answers alike", async () => {
    const sandbox = await bench.created("exit 4");
    const early = sandbox.wait();
    await sandbox.start();
    const first = await early;
    expect(first.code).toBe(4);
    expect(await sandbox.wait()).toEqual(first);
    expect(sandbox.pid()).toBeUndefined();
  });

  promise("a signal after the end is refused", async () => {
    const sandbox = await bench.started("exit 0");
    await sandbox.wait();
    expect(await errorCodeOf(sandbox.signal(sigterm))).toBe("workloadNotRunning");
  });

  promise("two sandboxes run at once without seeing each other's output", async () => {
    const outcomes = await Promise.all(["a", "b", "c"].map((word) => bench.run(`echo ${word}`)));
    expect(outcomes.map(({ stdout }) => stdout)).toEqual(["a\n", "b\n", "c\n"]);
  });
}

export function describeStartErrors(promise: DefinePromise, bench: Bench): void {
  const failures: readonly (readonly [string, readonly string[], string])[] = [
    ["a command that is not in PATH", ["no-such-command"], "commandNotFound"],
    ["a path that does not exist", ["/no/such/command"], "commandNotFound"],
    ["a file that is not executable", ["/etc/not-executable"], "commandNotExecutable"],
    ["a directory", ["/etc"], "commandNotExecutable"],
    ["a script whose interpreter is missing", ["/etc/no-interpreter"], "commandNotFound"],
    ["a file that is no program", ["/etc/no-program"], "commandNotExecutable"],
  ];
  for (const [what, args, code] of failures)
    promise(`start refuses ${what}, and remove clears up`, async () => {
      const sandbox = await bench.createdWith({ process: { args } });
      expect(await errorCodeOf(sandbox.start())).toBe(code);
      await sandbox.remove();
      expect(await bench.recovers(sandbox.spec)).toBe(false);
    });
}

export function describeRemove(promise: DefinePromise, bench: Bench): void {
  promise("remove is harmless before the start, while it runs, after the end, and twice", async () => {
    const waiting = await bench.created("exit 0");
    await waiting.remove();
    await waiting.remove();
    const running = await bench.started("sleep 1000");
    const pid = running.pid();
    await running.remove();
    await running.remove();
    if (pid !== undefined) expect(running.pid()).toBeUndefined();
    const ended = await bench.started("exit 0");
    await ended.wait();
    await ended.remove();
    for (const sandbox of [waiting, running, ended]) expect(await bench.recovers(sandbox.spec)).toBe(false);
  });

  promise("remove ends a workload whose output nobody reads", async () => {
    const sandbox = await bench.created("yes");
    await sandbox.attach({ stdin: false });
    await sandbox.start();
    await bench.settle();
    await sandbox.remove();
    expect(sandbox.pid()).toBeUndefined();
  });

  promise("the writable layer survives remove and create", async () => {
    const spec = bench.spec({
      process: shell("cat /kept 2>/dev/null || { echo first; echo second > /kept; }"),
    });
    expect((await bench.runSpec(spec)).stdout).toBe("first\n");
    await bench.remove(spec);
    expect((await bench.runSpec(spec)).stdout).toBe("second\n");
  });
}

export function describeRecover(promise: DefinePromise, bench: Bench, subject: WallUnderTest): void {
  promise("there is nothing to recover of what was never made", async () => {
    expect(await bench.recovers(bench.spec({ process: shell("true") }))).toBe(false);
  });

  promise("a new wall finds a running sandbox, and it behaves like one it made", async () => {
    const before = await bench.started("echo early; read line; echo got $line; exit 3", {
      stdin: true,
      stdinOnce: true,
    });
    // What comes later is the new wall's to show.
    await bench.untilLogged(before, "early\n");
    await using wall = await bench.otherWall();
    const after = await wall.recover(before.spec);
    expect(after?.pid()).toBe(before.pid());
    if (after === undefined) return;
    expect((await bench.exec(after, "echo in")).stdout).toBe("in\n");
    const attachment = await after.attach({ stdin: true });
    const output = collect(attachment);
    await attachment.write(Buffer.from("word\n"));
    expect((await after.wait()).code).toBe(3);
    expect((await output).stdout.toString()).toBe("got word\n");
    expect(readLog(before.spec.logPath).stdout.toString()).toBe("early\ngot word\n");
    await after.remove();
  });

  promise("a new wall finds a sandbox that ended, with its exit code", async () => {
    const before = await bench.started("exit 42");
    const status = await before.wait();
    await using wall = await bench.otherWall();
    const after = await wall.recover(before.spec);
    expect(after?.pid()).toBeUndefined();
    expect(await after?.wait()).toEqual(status);
    await after?.remove();
    expect(await bench.recovers(before.spec)).toBe(false);
  });

  promise("a new wall can start what an earlier one created", async () => {
    const before = await bench.created("exit 11");
    await using wall = await bench.otherWall();
    const after = await wall.recover(before.spec);
    await after?.start();
    expect((await after?.wait())?.code).toBe(11);
  });

  const { killMonitor } = subject;
  if (killMonitor === undefined) return;
  promise("a lost monitor is its own error, for the wall that started it and for a new one", async () => {
    const sandbox = await bench.started("sleep 1000");
    await using wall = await bench.otherWall();
    const recovered = await wall.recover(sandbox.spec);
    killMonitor(sandbox);
    const lost = ["monitorLost", "vmLost"];
    expect(lost).toContain(await errorCodeOf(sandbox.wait()));
    expect(lost).toContain(await errorCodeOf(recovered?.wait() ?? Promise.resolve()));
    await sandbox.remove();
    expect(sandbox.pid()).toBeUndefined();
  });
}
