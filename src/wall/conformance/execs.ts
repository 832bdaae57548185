/** Promises about processes beside the workload. */
import { expect } from "bun:test";
import type { ExecSpec } from "../wall.ts";
import {
  type Bench,
  collect,
  type DefinePromise,
  errorCodeOf,
  execSpec,
  processSpec,
  readLog,
  reportSizes,
  sigkill,
  TextReader,
} from "./bench.ts";

export function describeExec(promise: DefinePromise, bench: Bench): void {
  promise("exec runs beside the workload, with its own output and exit code", async () => {
    const sandbox = await bench.started("sleep 1000");
    const outcome = await bench.exec(sandbox, "echo out; echo err >&2; exit 5");
    expect(outcome).toMatchObject({ stdout: "out\n", stderr: "err\n" });
    expect(outcome.status.code).toBe(5);
    expect(readLog(sandbox.spec.logPath).stdout.toString()).toBe("");
  });

  promise("many execs run at once and keep apart", async () => {
    const sandbox = await bench.started("sleep 1000");
    const numbers = Array.from({ length: 8 }, (_, index) => index);
    const outcomes = await Promise.all(
      numbers.map((number) => bench.exec(sandbox, `echo ${number}; exit ${number}`)),
    );
    expect(outcomes.map(({ stdout, status }) => [stdout, status.code])).toEqual(
      numbers.map((number) => [`${number}\n`, number]),
    );
  });

  promise("exec takes input to its end", async () => {
    const sandbox = await bench.started("sleep 1000");
    const session = await sandbox.exec(execSpec("wc -c", { stdin: true, stdinOnce: true }));
    const attachment = session.attachment;
    if (attachment === undefined) throw new Error("an attached exec has no attachment");
    const output = collect(attachment);
    await attachment.write(Buffer.alloc(300_000, 65));
    await attachment.endInput();
    expect((await session.wait()).code).toBe(0);
    expect((await output).stdout.toString().trim()).toBe("300000");
  });

  promise("exec with a terminal has its size", async () => {
    const sandbox = await bench.started("sleep 1000");
    const size = { columns: 90, rows: 30 };
    const session = await sandbox.exec(execSpec(reportSizes, { terminal: true, stdin: true, size }));
    const attachment = session.attachment;
    if (attachment === undefined) throw new Error("an attached exec has no attachment");
    const text = new TextReader(attachment);
    await text.until("30 90");
    await session.resize({ columns: 66, rows: 44 });
    await text.until("44 66");
    await attachment.write(Buffer.from("\n"));
    expect((await session.wait()).code).toBe(9);
  });

  promise("a detached exec runs to its end", async () => {
    const sandbox = await bench.started("sleep 1000");
    const session = await sandbox.exec({ ...execSpec("exit 12", {}), attach: false });
    expect(session.attachment).toBeUndefined();
    expect((await session.wait()).code).toBe(12);
  });

  promise("exec refuses a command that does not exist, and the workload goes on", async () => {
    const sandbox = await bench.started("sleep 1000");
    const missing: ExecSpec = { ...execSpec("", {}), process: processSpec({ args: ["no-such-command"] }) };
    expect(await errorCodeOf(sandbox.exec(missing))).toBe("commandNotFound");
    expect(sandbox.pid()).toBeDefined();
  });

  promise("exec in a workload that has ended is refused", async () => {
    const sandbox = await bench.started("exit 0");
    await sandbox.wait();
    expect(await errorCodeOf(sandbox.exec(execSpec("true", {})))).toBe("workloadNotRunning");
  });

  promise("execs end with the workload", async () => {
    const sandbox = await bench.started("sleep 1000");
    const session = await sandbox.exec(execSpec("echo in; sleep 1000", {}));
    if (session.attachment !== undefined) await new TextReader(session.attachment).until("in");
    await sandbox.signal(sigkill);
    expect((await session.wait()).code).toBe(128 + sigkill);
    expect((await sandbox.wait()).code).toBe(128 + sigkill);
  });
}
