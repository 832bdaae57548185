/**
 * How many basic blocks of the guest QEMU's emulator translates for one start from a template, step by step, and which
 * of the kernel's functions they are in. Unlike a time, the count says the same on a busy machine.
 *
 *   scripts/bun bench/vm-blocks.ts [--network none] [--functions N] [--rooted] [--waited]
 *
 * `--rooted`: from a template that has the image's root (src/wall/vm/template/images.ts). `--waited`: by a machine that has
 * rehearsed (src/wall/vm/rehearsal.ts); what comes before nobody waits for.
 *
 * The machine has the arguments of every other, but no jail: QEMU logs what it translates (-d in_asm), and the log's
 * growth is looked at between the steps.
 */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeTap } from "../src/host/network/tap.ts";
import { start } from "../src/host/spawn.ts";
import { AgentConnection } from "../src/wall/vm/agent.ts";
import { type Machine, qemuArguments, type TemplateStep } from "../src/wall/vm/arguments.ts";
import { copyData, diskBytes, fileName, prepareDisk } from "../src/wall/vm/disk.ts";
import { FieldWriter } from "../src/wall/vm/fields.ts";
import { verbs } from "../src/wall/vm/protocol.ts";
import { qmp } from "../src/wall/vm/qmp.ts";
import { rehearse } from "../src/wall/vm/rehearsal.ts";
import { prepareRootBody, setUpBody, startBody } from "../src/wall/vm/start.ts";
import type { SandboxSpec } from "../src/wall/wall.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { makeTinyLayer } from "../test/support/tiny-layer.ts";

startAgainInOwnNamespaces();

const { values } = parseArgs({
  options: {
    network: { type: "string", default: "default" },
    functions: { type: "string", default: "0" },
    rooted: { type: "boolean", default: false },
    waited: { type: "boolean", default: false },
  },
});
const directory = mkdtempSync(join(tmpdir(), "blocks-"));
const wired = values.network !== "none";
const tap = "tap0";
const size = 128 * 1024 * 1024;
const layerPlaces = 6;
const place = (name: string): string => join(directory, name);
const log = place("asm");
const guest = join(import.meta.dir, "../.cache/guest");

await using layer = await makeTinyLayer();
const machine: Omit<Machine, "template" | "agentSocket" | "monitorSocket"> = {
  qemu: "qemu-system-x86_64",
  name: "blocks",
  acceleration: "tcg",
  memoryBytes: size,
  processors: 1,
  kernel: join(guest, "vmlinux"),
  initramfs: join(guest, "initramfs.cpio"),
  layers: [layer.path],
  disks: [place(fileName(0))],
  freshDisk: true,
  share: place("share"),
  taps: [tap],
};

class Emulator implements AsyncDisposable {
  readonly agent: string;
  readonly monitor: string;
  readonly #child;

  constructor(step: TemplateStep["step"], more: readonly string[], state?: number) {
    this.agent = place(`${step}-agent`);
    this.monitor = place(`${step}-qmp`);
    const args = qemuArguments({
      ...machine,
      layers: step === "save" ? [] : machine.layers,
      template: { step, memory: place("memory"), layerPlaces },
      agentSocket: `path=${this.agent}`,
      monitorSocket: `path=${this.monitor}`,
    });
    this.#child = start([...args, ...more], { stdio: ["ignore", "inherit", "inherit", state ?? "ignore"] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

const capability = {
  execute: "migrate-set-capabilities",
  arguments: { capabilities: [{ capability: "x-ignore-shared", state: true }] },
};
const load = { execute: "migrate-incoming", arguments: { uri: "fd:3" } };
const patience = { timeout: 120_000, dialTimeout: 120_000 };

async function makeTemplate(): Promise<void> {
  writeFileSync(place("memory"), "");
  truncateSync(place("memory"), size);
  await prepareDisk({ directory, bytes: diskBytes, owner: 0 });
  await using emulator = new Emulator("save", []);
  const agent = await AgentConnection.open(emulator.agent, patience);
  agent.close();
  await save(emulator);
}

/** Makes the template into one that has the root of the image. */
async function refineTemplate(): Promise<void> {
  const state = openSync(place("state"), "r");
  await using emulator = new Emulator("refine", [], state);
  closeSync(state);
  await qmp(emulator.monitor, [capability, load], patience);
  const agent = await AgentConnection.open(emulator.agent, patience);
  await agent.request(verbs.prepareRoot, prepareRootBody(spec));
  agent.close();
  await save(emulator);
}

async function save(emulator: Emulator): Promise<void> {
  const state = Promise.withResolvers<Buffer>();
  const parts: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on("data", (part: Buffer) => parts.push(part));
    socket.on("end", () => state.resolve(Buffer.concat(parts)));
  });
  rmSync(place("out"), { force: true });
  await new Promise<void>((resolve) => server.listen(place("out"), resolve));
  const migrate = { execute: "migrate", arguments: { uri: `unix:${place("out")}` } };
  await qmp(emulator.monitor, [capability, migrate], patience);
  writeFileSync(place("state"), await state.promise);
  server.close();
  await qmp(emulator.monitor, "quit", patience).catch(() => undefined);
  copyFile(fileName(0), "fresh.raw");
}

function copyFile(from: string, to: string): void {
  const [source, target] = [openSync(place(from), "r"), openSync(place(to), "w")];
  ftruncateSync(target, diskBytes);
  copyData(source, target, diskBytes);
  for (const file of [source, target]) closeSync(file);
}

/** Steps before anybody waits. */
const rehearsed = "rehearsed";

interface Block {
  readonly address: bigint;
  readonly step: string;
}

/** What the log has grown by; QEMU writes each block's text at once. */
class Log {
  #at = 0;
  readonly blocks: Block[] = [];

  take(step: string): void {
    const text = readFileSync(log, "latin1");
    for (const [, address] of text.slice(this.#at).matchAll(/^IN: .*\n0x([0-9a-f]+):/gm))
      this.blocks.push({ address: BigInt(`0x${address}`), step });
    this.#at = text.length;
  }
}

/** A network as the engine describes the default one. */
const network: NonNullable<SandboxSpec["network"]> = {
  namespace: "/n",
  taps: [],
  interfaces: [
    {
      name: "eth0",
      mac: "02:42:ac:11:00:02",
      addresses: ["172.17.0.2/16"],
      sysctls: { "net.ipv6.conf.eth0.disable_ipv6": "1" },
    },
  ],
  routes: [{ destination: "0.0.0.0/0", gateway: "172.17.0.1", interface: "eth0" }],
};
const spec: SandboxSpec = {
  ...{ id: "0".repeat(64), name: "blocks", directory, runtimeDirectory: directory, layers: [layer.path] },
  process: {
    ...{ args: ["true"], env: ["PATH=/bin"], cwd: "/", user: "", capabilities: [] },
    ...{ terminal: false, stdin: false, stdinOnce: false },
  },
  ...{ hostname: "blocks", readOnlyRoot: false, logPath: place("log") },
  resources: { memoryBytes: 0, cpus: 0, pids: 0 },
  ...(wired ? { network } : {}),
};

async function perform(process: SandboxSpec["process"]): Promise<{ found: Log; output: string }> {
  copyFile("fresh.raw", fileName(0));
  writeFileSync(log, "");
  const state = openSync(place("state"), "r");
  await using emulator = new Emulator("restore", ["-d", "in_asm", "-D", log], state);
  closeSync(state);
  const found = new Log();
  await qmp(emulator.monitor, [capability, load], patience);
  const agent = await AgentConnection.open(emulator.agent, { timeout: 120_000 });
  found.take("agent answers");
  if (values.waited) {
    await rehearse(agent, spec, { main: ["cat"], beside: ["true"] });
    found.take(rehearsed);
  }
  await agent.request(verbs.setUp, setUpBody(spec, "", true), 120_000);
  found.take("root made");
  const output: Uint8Array[] = [];
  const main = agent.addMain((chunks) => {
    for (const { data } of chunks) output.push(data);
    return Promise.resolve();
  });
  await agent.request(verbs.start, new FieldWriter().u32(0).bytes(startBody(process)), 120_000);
  found.take("program started");
  await main.exit;
  found.take("program ended");
  agent.close();
  return { found, output: Buffer.concat(output).toString() };
}

interface KernelSymbol {
  readonly address: bigint;
  readonly name: string;
}

/** The kernel's functions, its modules' among them, in the order of their addresses: the guest tells them. */
async function readSymbols(): Promise<KernelSymbol[]> {
  const process = { ...spec.process, args: ["cat", "/proc/kallsyms"], capabilities: ["CAP_SYSLOG"] };
  const { output } = await perform(process);
  const symbols = [...output.matchAll(/^([0-9a-f]+) [tTwW] (\S+)/gm)].map(([, address, name]) => ({
    address: BigInt(`0x${address}`),
    name: name ?? "",
  }));
  return symbols.sort((one, other) => (one.address < other.address ? -1 : 1));
}

function nameOf(symbols: readonly KernelSymbol[], address: bigint): string {
  if (address < 1n << 63n) return "(programs)";
  let [low, high] = [0, symbols.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((symbols[middle]?.address ?? 0n) <= address) low = middle;
    else high = middle;
  }
  return symbols[low]?.name ?? "?";
}

function countBy(blocks: readonly Block[], keyOf: (block: Block) => string): [string, number][] {
  const counts = new Map<string, number>();
  for (const block of blocks) counts.set(keyOf(block), (counts.get(keyOf(block)) ?? 0) + 1);
  return [...counts];
}

try {
  mkdirSync(place("share"));
  makeTap(tap, 0);
  await makeTemplate();
  if (values.rooted) await refineTemplate();
  const { found } = await perform(spec.process);
  const print = (name: string, count: number): void => console.log(`${String(count).padStart(7)} ${name}`);
  for (const [step, count] of countBy(found.blocks, ({ step }) => step)) print(step, count);
  print("whole", found.blocks.length);
  const functions = Number(values.functions);
  if (functions > 0) {
    const symbols = await readSymbols();
    for (const [step] of countBy(found.blocks, ({ step }) => step)) {
      console.log(`\n${step}`);
      const own = found.blocks.filter((block) => block.step === step);
      const counts = countBy(own, ({ address }) => nameOf(symbols, address));
      counts.sort(([, one], [, other]) => other - one);
      for (const [name, count] of counts.slice(0, functions)) print(name, count);
    }
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
