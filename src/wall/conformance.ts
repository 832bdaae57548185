/**
 * The promises of the wall contract (wall.ts) as tests, run against every wall: `describeWall` in a wall's
 * `conformance.test.ts`. The image under test needs a busybox and the files of test/support/tiny-layer.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isHullError } from "../contract/errors.ts";
import { parseLogLine } from "./log.ts";
import type {
  Attachment,
  ExecSpec,
  ExitStatus,
  ProcessRow,
  ProcessSpec,
  Sandbox,
  SandboxSpec,
  Wall,
} from "./wall.ts";

/** What a suite's run varies of a spec. */
export interface SpecChanges {
  readonly process?: Partial<ProcessSpec>;
  readonly readOnlyRoot?: boolean;
  readonly hostname?: string;
  readonly resources?: Partial<SandboxSpec["resources"]>;
}

export interface WallUnderTest {
  /** A wall on the same directories as all others that this function returns, as a new daemon makes it. */
  readonly makeWall: () => Wall | Promise<Wall>;
  /** EROFS files of the image under test, bottom first. */
  readonly layers: () => readonly string[];
  /** Most time one test takes; a virtual machine under emulation is slow. */
  readonly timeout: number;
  /** Ends the workload's monitor, as a crash of it would; undefined: not tested. */
  readonly killMonitor?: (sandbox: Sandbox) => void;
  /** A wall that only imitates has no kernel: what needs one is left out. */
  readonly hasKernel: boolean;
}

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
  readonly status: ExitStatus;
}

const sigkill = 9;
const sigterm = 15;
const sighup = 1;

/** Prints the terminal's size again and again until a line is entered. */
const reportSizes = "while ! read -t 0.05 line; do stty size; done; exit 9";

export function describeWall(name: string, subject: WallUnderTest): void {
  describe(`${name} wall`, () => {
    const bench = new Bench(subject);
    beforeAll(() => bench.open(), subject.timeout);
    afterAll(() => bench.close(), subject.timeout);
    const promise = (title: string, body: () => Promise<void>): void => {
      test(
        title,
        async () => {
          try {
            await body();
          } finally {
            await bench.removeAll();
          }
        },
        subject.timeout,
      );
    };
    describeOutput(promise, bench);
    describeEnd(promise, bench);
    describeInput(promise, bench);
    describeTerminal(promise, bench);
    describeAttachments(promise, bench);
    describeStartErrors(promise, bench);
    describeExec(promise, bench);
    describeRemove(promise, bench);
    describeRecover(promise, bench, subject);
    if (subject.hasKernel) {
      describeProcess(promise, bench);
      describeRoot(promise, bench);
      describeResources(promise, bench);
    }
  });
}

type DefinePromise = (title: string, body: () => Promise<void>) => void;

function describeOutput(promise: DefinePromise, bench: Bench): void {
  promise("standard output and standard error are kept apart", async () => {
    const { stdout, stderr, status } = await bench.run("echo out; echo err >&2");
    expect(stdout).toBe("out\n");
    expect(stderr).toBe("err\n");
    expect(status.code).toBe(0);
    expect(status.oomKilled).toBe(false);
    expect(Math.abs(Date.now() - status.finishedAt)).toBeLessThan(60_000);
  });

  promise("an attachment made before the start sees every byte of a large binary output", async () => {
    const expected = readFileSync(busyboxPath());
    const { bytes } = await bench.run("cat /bin/busybox");
    expect(bytes.equals(expected)).toBe(true);
    expect(bytes.length).toBeGreaterThan(1_000_000);
  });

  promise("the log has every byte, with its stream", async () => {
    const spec = bench.spec({ process: shell("cat /bin/busybox; echo err >&2; printf 'no newline'") });
    const { status } = await bench.runSpec(spec);
    expect(status.code).toBe(0);
    const log = readLog(spec.logPath);
    const expected = Buffer.concat([readFileSync(busyboxPath()), Buffer.from("no newline")]);
    expect(log.stdout.equals(expected)).toBe(true);
    expect(log.stderr.toString()).toBe("err\n");
  });

  promise("a second life appends to the log", async () => {
    const spec = bench.spec({ process: shell("echo once") });
    await bench.runSpec(spec);
    await bench.remove(spec);
    await bench.runSpec(spec);
    expect(readLog(spec.logPath).stdout.toString()).toBe("once\nonce\n");
  });
}

function describeEnd(promise: DefinePromise, bench: Bench): void {
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

function describeInput(promise: DefinePromise, bench: Bench): void {
  const open = { stdin: true, stdinOnce: true };

  promise("without standard input the program reads end of file", async () => {
    expect((await bench.run("cat; echo end")).stdout).toBe("end\n");
  });

  promise("input arrives complete, and its end ends it", async () => {
    const input = readFileSync(busyboxPath()).subarray(0, 1_500_000);
    const sandbox = await bench.created("cat", open);
    const attachment = await sandbox.attach({ stdin: true });
    const output = collect(attachment);
    await sandbox.start();
    await attachment.write(input);
    await attachment.endInput();
    expect((await sandbox.wait()).code).toBe(0);
    expect((await output).stdout.equals(input)).toBe(true);
  });

  promise("input written before the start is read after it", async () => {
    const sandbox = await bench.created("read line; echo got $line", open);
    const attachment = await sandbox.attach({ stdin: true });
    const output = collect(attachment);
    await attachment.write(Buffer.from("early\n"));
    await sandbox.start();
    await sandbox.wait();
    expect((await output).stdout.toString()).toBe("got early\n");
  });

  promise("detaching the attachment that wrote ends input that is open once", async () => {
    const sandbox = await bench.created("cat >/dev/null; exit 6", open);
    const attachment = await sandbox.attach({ stdin: true });
    await sandbox.start();
    await attachment.write(Buffer.from("some"));
    attachment.detach();
    expect((await sandbox.wait()).code).toBe(6);
  });

  promise("an attachment that only reads may go without ending input", async () => {
    const sandbox = await bench.created("read line; echo got $line", open);
    const writer = await sandbox.attach({ stdin: true });
    const output = collect(writer);
    const reader = await sandbox.attach({ stdin: false });
    await sandbox.start();
    reader.detach();
    await writer.write(Buffer.from("word\n"));
    await sandbox.wait();
    expect((await output).stdout.toString()).toBe("got word\n");
  });

  promise("input that stays open survives an attachment", async () => {
    const sandbox = await bench.created("read a; read b; echo $a $b", { stdin: true, stdinOnce: false });
    const first = await sandbox.attach({ stdin: true });
    await sandbox.start();
    await first.write(Buffer.from("one\n"));
    first.detach();
    const second = await sandbox.attach({ stdin: true });
    const output = collect(second);
    await second.write(Buffer.from("two\n"));
    await sandbox.wait();
    expect((await output).stdout.toString()).toBe("one two\n");
  });

  promise("input to a program that has ended is dropped", async () => {
    const sandbox = await bench.created("exit 0", open);
    const attachment = await sandbox.attach({ stdin: true });
    const output = collect(attachment);
    await sandbox.start();
    await sandbox.wait();
    await output;
    await attachment.write(Buffer.alloc(100_000));
    await attachment.endInput();
  });
}

function describeTerminal(promise: DefinePromise, bench: Bench): void {
  const terminal = { terminal: true, stdin: true, size: { columns: 101, rows: 33 } };

  promise("a terminal has the size it was given, and sizes set later", async () => {
    const { sandbox, text, attachment } = await bench.attached(reportSizes, terminal);
    await text.until("33 101");
    await sandbox.resize({ columns: 77, rows: 22 });
    await text.until("22 77");
    await attachment.write(Buffer.from("\n"));
    expect((await sandbox.wait()).code).toBe(9);
  });

  promise("a terminal's output is one stream", async () => {
    const sandbox = await bench.created("echo out; echo err >&2", terminal);
    const output = collect(await sandbox.attach({ stdin: false }));
    await sandbox.start();
    await sandbox.wait();
    const { stdout, stderr } = await output;
    expect(stdout.toString()).toBe("out\r\nerr\r\n");
    expect(stderr.length).toBe(0);
  });

  promise("control-C on a terminal interrupts the program", async () => {
    const { sandbox, text, attachment } = await bench.attached(
      "trap 'echo interrupted; exit 8' INT; echo ready; while :; do sleep 0.05; done",
      terminal,
    );
    await text.until("ready");
    await attachment.write(Buffer.of(3));
    await text.until("interrupted");
    expect((await sandbox.wait()).code).toBe(8);
  });
}

function describeAttachments(promise: DefinePromise, bench: Bench): void {
  promise("several attachments see all the output", async () => {
    const sandbox = await bench.created("seq 1 20000");
    const outputs = [false, false, false].map(async (stdin) => collect(await sandbox.attach({ stdin })));
    await Promise.all(outputs.map(() => Bun.sleep(0)));
    await bench.settle();
    await sandbox.start();
    await sandbox.wait();
    const lines = Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join("");
    for (const output of await Promise.all(outputs)) expect(output.stdout.toString() === lines).toBe(true);
  });

  promise("a slow attachment loses nothing", async () => {
    const sandbox = await bench.created("cat /bin/busybox /bin/busybox");
    const attachment = await sandbox.attach({ stdin: false });
    await sandbox.start();
    await bench.settle();
    const expected = readFileSync(busyboxPath());
    const parts: Uint8Array[] = [];
    let count = 0;
    for await (const chunk of attachment.output) {
      parts.push(chunk.data);
      count += 1;
      if (count % 50 === 0) await Bun.sleep(1);
    }
    expect(Buffer.concat(parts).equals(Buffer.concat([expected, expected]))).toBe(true);
    expect((await sandbox.wait()).code).toBe(0);
  });

  promise("detaching lets the workload go on", async () => {
    const { sandbox, text, attachment } = await bench.attached("echo ready; sleep 0.3; echo more; exit 2");
    await text.until("ready");
    attachment.detach();
    expect((await sandbox.wait()).code).toBe(2);
    expect(readLog(sandbox.spec.logPath).stdout.toString()).toBe("ready\nmore\n");
  });

  promise("an attachment to a workload that has ended ends at once", async () => {
    const sandbox = await bench.started("echo hi");
    await sandbox.wait();
    const { stdout } = await collect(await sandbox.attach({ stdin: false }));
    expect(stdout.length).toBe(0);
  });
}

function describeStartErrors(promise: DefinePromise, bench: Bench): void {
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

function describeExec(promise: DefinePromise, bench: Bench): void {
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

function describeRemove(promise: DefinePromise, bench: Bench): void {
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

function describeRecover(promise: DefinePromise, bench: Bench, subject: WallUnderTest): void {
  promise("there is nothing to recover of what was never made", async () => {
    expect(await bench.recovers(bench.spec({ process: shell("true") }))).toBe(false);
  });

  promise("a new wall finds a running sandbox, and it behaves like one it made", async () => {
    const before = await bench.started("echo early; read line; echo got $line; exit 3", {
      stdin: true,
      stdinOnce: true,
    });
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

function describeProcess(promise: DefinePromise, bench: Bench): void {
  promise("environment, working directory and arguments arrive as given", async () => {
    const { stdout } = await bench.runWith({
      process: {
        args: ["sh", "-c", 'echo "$A|$B|$0|$1"; pwd', "zero", "one two"],
        env: [...processSpec({}).env, "A=a b", "B=ü=x"],
        cwd: "/made/on/the/way",
      },
    });
    expect(stdout).toBe("a b|ü=x|zero|one two\n/made/on/the/way\n");
  });

  const users: readonly (readonly [string, string])[] = [
    ["", "0 0 0 /root"],
    ["root", "0 0 0 /root"],
    ["alice", "1000 1000 1000 29 44 /home/alice"],
    ["1000", "1000 1000 1000 29 44 /home/alice"],
    ["alice:audio", "1000 29 29 /home/alice"],
    ["alice:7", "1000 7 7 /home/alice"],
    ["4321:8765", "4321 8765 8765 /"],
    ["4321", "4321 0 0 /"],
  ];
  promise("every form of user is resolved against the image, groups included", async () => {
    for (const [user, expected] of users) {
      const { stdout, stderr } = await bench.runWith({
        process: { ...shell('echo "$(id -u) $(id -g) $(id -G) $HOME"'), user },
      });
      expect([user, stdout.trim(), stderr]).toEqual([user, expected, ""]);
    }
  });

  promise("an unknown user is refused", async () => {
    const sandbox = await bench.createdWith({ process: { ...shell("true"), user: "nobody-here" } });
    expect(await errorCodeOf(sandbox.start())).toBe("noSuchUser");
  });

  promise("a working directory that is a file is refused", async () => {
    const sandbox = await bench.createdWith({ process: { ...shell("true"), cwd: "/etc/passwd/below" } });
    expect(await errorCodeOf(sandbox.start())).toBe("workingDirectoryInvalid");
  });

  promise("an unprivileged user has no effective capability, root has those it was given", async () => {
    const script = "grep CapEff /proc/self/status | tr -d '\\t'";
    const root = await bench.runWith({
      process: { ...shell(script), capabilities: ["CAP_CHOWN", "CAP_KILL"] },
    });
    expect(root.stdout).toBe("CapEff:0000000000000021\n");
    const user = await bench.runWith({
      process: { ...shell(script), user: "alice", capabilities: ["CAP_CHOWN"] },
    });
    expect(user.stdout).toBe("CapEff:0000000000000000\n");
  });

  promise("exec has user, environment and working directory of its own", async () => {
    const sandbox = await bench.started("sleep 1000");
    const { stdout } = await bench.exec(sandbox, 'echo "$X $(id -u) $(id -G)"; pwd', {
      env: [...processSpec({}).env, "X=y"],
      cwd: "/tmp",
      user: "alice",
    });
    expect(stdout).toBe("y 1000 1000 29 44\n/tmp\n");
  });

  promise("the workload is process 1 and sees only its own processes", async () => {
    const { sandbox, text } = await bench.attached("echo pid $$; sleep 1000 & sleep 1000 & wait");
    await text.until("pid 1\n");
    const rows = await bench.untilProcesses(sandbox, "sleep 1000", 2);
    expect(rows.map(({ pid, parentPid }) => [pid === 1, parentPid])).toEqual([
      [true, 0],
      [false, 1],
      [false, 1],
    ]);
    expect(rows.at(-1)?.command).toBe("sleep 1000");
    expect(new Set(rows.map(({ user }) => user))).toEqual(new Set(["root"]));
  });
}

function describeRoot(promise: DefinePromise, bench: Bench): void {
  promise("a read-only root refuses writes", async () => {
    const { status, stderr } = await bench.runWith({ readOnlyRoot: true, process: shell("touch /x") });
    expect(status.code).not.toBe(0);
    expect(stderr).toContain("Read-only file system");
  });

  promise("the usual file systems and devices are there", async () => {
    const script = [
      "grep -q ' /proc proc ' /proc/mounts && echo proc",
      "touch /dev/shm/x && echo shm",
      "[ $(head -c 5 /dev/zero | wc -c) = 5 ] && echo zero",
      "head -c 1 /dev/urandom >/dev/null && echo random",
      "echo x > /dev/null && echo null",
      "[ -c /dev/ptmx ] && echo ptmx",
      "echo a > /tmp/a && chown 12:34 /tmp/a && stat -c %u:%g /tmp/a",
    ].join("; ");
    expect((await bench.run(script)).stdout).toBe("proc\nshm\nzero\nrandom\nnull\nptmx\n12:34\n");
  });

  promise("the host name is the one given, in the kernel and in /etc", async () => {
    const { stdout } = await bench.runWith({
      hostname: "box-one",
      process: shell("hostname; cat /etc/hostname; grep -c box-one /etc/hosts"),
    });
    expect(stdout).toBe("box-one\nbox-one\n1\n");
  });

  promise("the loopback interface is up", async () => {
    expect((await bench.run("ip -o addr show lo | grep -o 127.0.0.1/8")).stdout).toBe("127.0.0.1/8\n");
  });
}

function describeResources(promise: DefinePromise, bench: Bench): void {
  promise("an out-of-memory kill is reported as such", async () => {
    const { status } = await bench.runWith({
      resources: { memoryBytes: 128 * 1024 * 1024 },
      // The shell holds the output of the substitution in memory.
      process: shell("x=$(yes 0123456789012345678901234567890123456789 | head -c 400000000); echo done"),
    });
    expect(status.oomKilled).toBe(true);
    expect(status.code).not.toBe(0);
  });

  promise("statistics tell what the workload uses", async () => {
    const { sandbox, text } = await bench.attached(
      "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; sleep 1000",
      {},
      {
        memoryBytes: 192 * 1024 * 1024,
      },
    );
    await text.until("done");
    const stats = await sandbox.stats();
    expect(stats.memoryBytes).toBeGreaterThan(0);
    expect(stats.memoryLimitBytes).toBeGreaterThanOrEqual(192 * 1024 * 1024);
    expect(stats.cpuNanoseconds).toBeGreaterThan(1_000_000);
    expect(stats.pids).toBeGreaterThanOrEqual(1);
  });

  promise("a paused workload stands still until it is resumed", async () => {
    const { sandbox, text } = await bench.attached("while :; do echo tick; sleep 0.02; done");
    await text.until("tick");
    await sandbox.pause();
    await text.quiet();
    const seen = text.length;
    await Bun.sleep(150);
    expect(text.length).toBe(seen);
    await sandbox.resume();
    await text.more(seen);
  });

  promise("remove ends a paused workload", async () => {
    const { sandbox, text } = await bench.attached("echo ready; sleep 1000");
    await text.until("ready");
    await sandbox.pause();
    await sandbox.remove();
    expect(sandbox.pid()).toBeUndefined();
  });

  promise("a limit on processes holds", async () => {
    const { stdout } = await bench.runWith({
      resources: { pids: 20 },
      process: shell("i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; echo started"),
    });
    expect(stdout).not.toBe("started\n");
  });
}

/** Makes sandboxes for tests and takes away what they leave. */
class Bench {
  readonly #subject: WallUnderTest;
  readonly #sandboxes = new Map<string, Sandbox>();
  #directory = "";
  #wall: Wall | undefined;

  constructor(subject: WallUnderTest) {
    this.#subject = subject;
  }

  async open(): Promise<void> {
    this.#directory = mkdtempSync(join(tmpdir(), "wall-"));
    this.#wall = await this.#subject.makeWall();
  }

  async close(): Promise<void> {
    await this.removeAll();
    await this.#wall?.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** A wall as a new daemon makes it. */
  async otherWall(): Promise<Wall & AsyncDisposable> {
    const wall = await this.#subject.makeWall();
    return Object.assign(wall, { [Symbol.asyncDispose]: () => wall.close() });
  }

  spec(changes: SpecChanges): SandboxSpec {
    const id = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
    const directory = join(this.#directory, id.slice(0, 8));
    mkdirSync(directory, { recursive: true });
    return {
      id,
      name: id.slice(0, 12),
      directory,
      runtimeDirectory: join(this.#directory, `r${id.slice(0, 8)}`),
      layers: this.#subject.layers(),
      process: processSpec(changes.process ?? {}),
      hostname: changes.hostname ?? "tiny",
      readOnlyRoot: changes.readOnlyRoot ?? false,
      resources: { memoryBytes: 0, cpus: 0, pids: 0, ...changes.resources },
      logPath: join(directory, "log"),
    };
  }

  async createdWith(changes: SpecChanges): Promise<Sandbox> {
    return this.#create(this.spec(changes));
  }

  created(script: string, process: Partial<ProcessSpec> = {}): Promise<Sandbox> {
    return this.createdWith({ process: { ...shell(script), ...process } });
  }

  async started(script: string, process: Partial<ProcessSpec> = {}): Promise<Sandbox> {
    const sandbox = await this.created(script, process);
    await sandbox.start();
    return sandbox;
  }

  /** A started sandbox and a reader that was attached before. */
  async attached(
    script: string,
    process: Partial<ProcessSpec> = {},
    resources: Partial<SandboxSpec["resources"]> = {},
  ): Promise<{ readonly sandbox: Sandbox; readonly text: TextReader; readonly attachment: Attachment }> {
    const sandbox = await this.createdWith({ process: { ...shell(script), ...process }, resources });
    const attachment = await sandbox.attach({ stdin: process.stdin ?? false });
    const text = new TextReader(attachment);
    await sandbox.start();
    return { sandbox, text, attachment };
  }

  run(script: string): Promise<Outcome> {
    return this.runWith({ process: shell(script) });
  }

  runWith(changes: SpecChanges): Promise<Outcome> {
    return this.runSpec(this.spec(changes));
  }

  async runSpec(spec: SandboxSpec): Promise<Outcome> {
    const sandbox = await this.#create(spec);
    const output = collect(await sandbox.attach({ stdin: false }));
    await sandbox.start();
    const status = await sandbox.wait();
    const { stdout, stderr } = await output;
    return { stdout: stdout.toString(), stderr: stderr.toString(), bytes: stdout, status };
  }

  async exec(sandbox: Sandbox, script: string, process: Partial<ProcessSpec> = {}): Promise<Outcome> {
    const session = await sandbox.exec(execSpec(script, process));
    if (session.attachment === undefined) throw new Error("an attached exec has no attachment");
    const { stdout, stderr } = await collect(session.attachment);
    const status = await session.wait();
    return { stdout: stdout.toString(), stderr: stderr.toString(), bytes: stdout, status };
  }

  async recovers(spec: SandboxSpec): Promise<boolean> {
    await using wall = await this.otherWall();
    const sandbox = await wall.recover(spec);
    return sandbox !== undefined;
  }

  async remove(spec: SandboxSpec): Promise<void> {
    await this.#sandboxes.get(spec.id)?.remove();
    this.#sandboxes.delete(spec.id);
  }

  async removeAll(): Promise<void> {
    await Promise.all([...this.#sandboxes.values()].map((sandbox) => sandbox.remove()));
    this.#sandboxes.clear();
  }

  /** Waits until a script has started `count` processes of this command; returns all processes, in order. */
  async untilProcesses(sandbox: Sandbox, command: string, count: number): Promise<ProcessRow[]> {
    for (;;) {
      const rows = (await sandbox.processes()).toSorted((left, right) => left.pid - right.pid);
      if (rows.filter((row) => row.command === command).length >= count) return rows;
      await Bun.sleep(10);
    }
  }

  /** Gives output time to pile up, or attachments to be taken. Nothing depends on how long it is. */
  settle(): Promise<void> {
    return Bun.sleep(50);
  }

  async #create(spec: SandboxSpec): Promise<Sandbox> {
    if (this.#wall === undefined) throw new Error("the suite is not open");
    const sandbox = await this.#wall.create(spec);
    this.#sandboxes.set(spec.id, sandbox);
    return sandbox;
  }
}

/** Reads an attachment as text that arrives by and by. */
class TextReader {
  #text = "";
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(attachment: Attachment) {
    void this.#read(attachment);
  }

  get length(): number {
    return this.#text.length;
  }

  /** Waits for a text; fails when the output ends without it. */
  async until(wanted: string): Promise<void> {
    while (!this.#text.includes(wanted)) {
      if (this.#ended) throw new Error(`the output ended without ${JSON.stringify(wanted)}: ${this.#text}`);
      await this.#change();
    }
  }

  async more(than: number): Promise<void> {
    while (this.#text.length <= than && !this.#ended) await this.#change();
    expect(this.#text.length).toBeGreaterThan(than);
  }

  /** Waits until what was under way has arrived. */
  async quiet(): Promise<void> {
    for (let before = -1; before !== this.#text.length; await Bun.sleep(60)) before = this.#text.length;
  }

  async #read(attachment: Attachment): Promise<void> {
    for await (const { data } of attachment.output) {
      this.#text += Buffer.from(data).toString("utf8");
      this.#wake?.();
    }
    this.#ended = true;
    this.#wake?.();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

async function collect(
  attachment: Attachment,
): Promise<{ readonly stdout: Buffer; readonly stderr: Buffer }> {
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const { stream, data } of attachment.output) parts[stream].push(data);
  return { stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr) };
}

function readLog(path: string): { readonly stdout: Buffer; readonly stderr: Buffer } {
  const file = readFileSync(path);
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  let start = 0;
  for (let end = file.indexOf(10); end >= 0; end = file.indexOf(10, start)) {
    const line = parseLogLine(file.subarray(start, end));
    if (line === undefined)
      throw new Error(`not a line of a log: ${file.subarray(start, end).toString("latin1")}`);
    parts[line.stream].push(line.data);
    start = end + 1;
  }
  expect(start).toBe(file.length);
  return { stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr) };
}

function shell(script: string): Pick<ProcessSpec, "args"> {
  return { args: ["sh", "-c", script] };
}

function processSpec(changes: Partial<ProcessSpec>): ProcessSpec {
  return {
    args: ["sh"],
    env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    cwd: "/",
    user: "",
    capabilities: [
      "CAP_CHOWN",
      "CAP_DAC_OVERRIDE",
      "CAP_FOWNER",
      "CAP_KILL",
      "CAP_SETGID",
      "CAP_SETUID",
      "CAP_NET_RAW",
    ],
    terminal: false,
    stdin: false,
    stdinOnce: false,
    ...changes,
  };
}

function execSpec(script: string, process: Partial<ProcessSpec>): ExecSpec {
  return {
    id: Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex"),
    process: processSpec({ ...shell(script), ...process }),
    attach: true,
  };
}

async function errorCodeOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
    return "none";
  } catch (error) {
    if (isHullError(error)) return error.code;
    throw error;
  }
}

function busyboxPath(): string {
  const path = Bun.which("busybox");
  if (path === null) throw new Error("tests need busybox-static: run ./setup");
  return path;
}
