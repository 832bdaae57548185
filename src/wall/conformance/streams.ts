/** Promises about output, input, terminals and attachments. */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import {
  type Bench,
  busyboxPath,
  collect,
  type DefinePromise,
  readLog,
  reportSizes,
  shell,
} from "./bench.ts";

export function describeOutput(promise: DefinePromise, bench: Bench): void {
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

export function describeInput(promise: DefinePromise, bench: Bench): void {
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

export function describeTerminal(promise: DefinePromise, bench: Bench): void {
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

export function describeAttachments(promise: DefinePromise, bench: Bench): void {
  promise("several attachments see all the output", async () => {
    const sandbox = await bench.created("seq 1 20000");
    const attaching = Array.from({ length: 16 }, () => sandbox.attach({ stdin: false }));
    const outputs = (await Promise.all(attaching)).map(collect);
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
