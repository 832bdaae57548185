/** The fake keeps the contract, as far as that needs no kernel: the suite's scripts, told as functions. */
import { readFileSync } from "node:fs";
import { HullError } from "../contract/errors.ts";
import { describeWall } from "./conformance.ts";
import { createFakeWall, type FakeProcess, type FakeProgram, FakeSandbox, FakeWorld } from "./fake.ts";

const busybox = readFileSync(Bun.which("busybox") ?? "/bin/busybox");

async function copyInput(self: FakeProcess): Promise<number> {
  for (let data = await self.read(); data !== undefined; data = await self.read()) self.write(data);
  return 0;
}

async function countInput(self: FakeProcess): Promise<number> {
  let count = 0;
  for (let data = await self.read(); data !== undefined; data = await self.read()) count += data.length;
  self.write(`${count}\n`);
  return 0;
}

async function reportSizes(self: FakeProcess): Promise<number> {
  let entered = false;
  void self.readLine().then(() => {
    entered = true;
  });
  for (; !entered; await self.sleep(5)) self.write(`${self.size.rows} ${self.size.columns}\n`);
  return 9;
}

function untilSignal(signal: number, words: string, code: number): FakeProgram {
  return async (self) => {
    self.onSignal(signal, () => {
      self.write(words);
      self.end(code);
    });
    self.write("ready\n");
    return forever(self);
  };
}

async function forever(self: FakeProcess): Promise<number> {
  await self.ended;
  return 0;
}

function says(
  code: number,
  ...outputs: readonly (readonly [stream: "stdout" | "stderr", data: string | Uint8Array])[]
): FakeProgram {
  return (self) => {
    for (const [stream, data] of outputs) self.write(data, stream);
    return code;
  };
}

function pausing(first: string, second: string, code: number): FakeProgram {
  return async (self) => {
    self.write(first);
    await self.sleep(30);
    self.write(second);
    return code;
  };
}

async function greetLine(self: FakeProcess): Promise<number> {
  self.write(`got ${await self.readLine()}\n`);
  return 0;
}

const scripts: Readonly<Record<string, FakeProgram>> = {
  "sleep 1000": forever,
  true: () => 0,
  cat: copyInput,
  "cat; echo end": async (self) => {
    await copyInput(self);
    self.write("end\n");
    return 0;
  },
  "cat >/dev/null; exit 6": async (self) => {
    while ((await self.read()) !== undefined);
    return 6;
  },
  "wc -c": countInput,
  "cat /bin/busybox": says(0, ["stdout", busybox]),
  "cat /bin/busybox /bin/busybox": says(0, ["stdout", busybox], ["stdout", busybox]),
  "cat /bin/busybox; echo err >&2; printf 'no newline'": says(
    0,
    ["stdout", busybox],
    ["stderr", "err\n"],
    ["stdout", "no newline"],
  ),
  "cat /kept 2>/dev/null || { echo first; echo second > /kept; }": (self) => {
    self.write(self.files.get("/kept") ?? "first\n");
    self.files.set("/kept", "second\n");
    return 0;
  },
  "echo out; echo err >&2": says(0, ["stdout", "out\n"], ["stderr", "err\n"]),
  "echo out; echo err >&2; exit 5": says(5, ["stdout", "out\n"], ["stderr", "err\n"]),
  "echo ready; sleep 1000": (self) => {
    self.write("ready\n");
    return forever(self);
  },
  "echo in; sleep 1000": (self) => {
    self.write("in\n");
    return forever(self);
  },
  "echo ready; sleep 0.3; echo more; exit 2": pausing("ready\n", "more\n", 2),
  "echo ready; sleep 0.3; echo still here; exit 3": pausing("ready\n", "still here\n", 3),
  "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.05; done": untilSignal(15, "got it\n", 5),
  "trap 'echo interrupted; exit 8' INT; echo ready; while :; do sleep 0.05; done": untilSignal(
    2,
    "interrupted\n",
    8,
  ),
  "read line; echo got $line": greetLine,
  "read a; read b; echo $a $b": async (self) => {
    self.write(`${await self.readLine()} ${await self.readLine()}\n`);
    return 0;
  },
  "echo early; read line; echo got $line; exit 3": async (self) => {
    self.write("early\n");
    await greetLine(self);
    return 3;
  },
  "while ! read -t 0.05 line; do stty size; done; exit 9": reportSizes,
  "seq 1 20000": says(0, ["stdout", Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join("")]),
  yes: async (self) => {
    for (;;) {
      self.write("y\n".repeat(1000));
      await self.sleep(1);
    }
  },
};

function programOf(args: readonly string[]): FakeProgram | undefined {
  const [command = "", , script = ""] = args;
  if (command === "/etc" || command === "/etc/not-executable" || command === "/etc/no-program")
    throw new HullError("commandNotExecutable", { command, why: "as a test wants it" });
  if (command !== "sh") return undefined;
  const number = /^exit (\d+)$/.exec(script)?.[1];
  if (number !== undefined) return () => Number(number);
  const [, word, code] = /^echo (\w+)(?:; exit (\d+))?$/.exec(script) ?? [];
  if (word !== undefined) return says(Number(code ?? 0), ["stdout", `${word}\n`]);
  return Object.hasOwn(scripts, script) ? scripts[script] : undefined;
}

const world = new FakeWorld({ program: programOf });

describeWall("fake", {
  makeWall: () => createFakeWall(world),
  layers: () => [],
  timeout: 5000,
  killMonitor: (sandbox) => {
    if (sandbox instanceof FakeSandbox) sandbox.process.lose(sandbox.spec.name);
  },
  hasKernel: false,
});
