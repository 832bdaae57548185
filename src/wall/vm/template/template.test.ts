/** Machines that start from templates, against real ones. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lendAcceleration } from "../../../../test/support/known-acceleration.ts";
import { makeTinyLayer, type TinyLayer } from "../../../../test/support/tiny-layer.ts";
import { vmSpec, vmWallOptions } from "../../../../test/support/vm-wall.ts";
import type { LogFields, Logger } from "../../../contract/logger.ts";
import { readProc } from "../../../host/process.ts";
import type { Sandbox, SandboxSpec } from "../../wall.ts";
import { createVmWall, type VmWall } from "../vm-wall.ts";

const patience = 180_000;
const directory = mkdtempSync(join(tmpdir(), "tpl-"));
const templateDirectory = join(directory, "templates");
const said: { level: string; message: string; fields: LogFields }[] = [];
const say = (level: string) => {
  return (message: string, fields: LogFields = {}): void => void said.push({ level, message, fields });
};
const log: Logger = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
const options = vmWallOptions(join(directory, "s"), { templateDirectory, log });

let layer: TinyLayer;
let wall: VmWall;
let count = 0;
beforeAll(async () => {
  mkdirSync(options.stateDirectory);
  lendAcceleration(options.stateDirectory);
  layer = await makeTinyLayer({ "etc/machine-id": "", "etc/other-id": "kept\n" });
});
beforeEach(() => {
  said.length = 0;
  wall = createVmWall(options);
});
afterEach(async () => await wall.close());
afterAll(async () => {
  await layer[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

function specOf(script: string, changes: Partial<SandboxSpec> = {}): SandboxSpec {
  const hostname = `vm${++count}`;
  return vmSpec({ directory, layers: [layer.path] }, script, { hostname, ...changes });
}

async function outputOf(sandbox: Sandbox): Promise<string> {
  const attachment = await sandbox.attach({ stdin: false });
  await sandbox.start();
  const parts: Uint8Array[] = [];
  for await (const { data } of attachment.output) parts.push(data);
  await sandbox.wait();
  return Buffer.concat(parts).toString();
}

function commandLine(sandbox: Sandbox): readonly string[] {
  return (readProc(sandbox.pid() ?? 0, "cmdline") ?? "").split("\0");
}

const warnings = (): string[] =>
  said.filter(({ level }) => level === "warn").map(({ message, fields }) => `${message}: ${fields.why}`);
/** Templates that machines have started from. */
const origins = (): unknown[] =>
  said.filter(({ message }) => message === "a virtual machine is up").map(({ fields }) => fields.template);

/** The template that has the image's root, once it is made. */
async function rootMade(): Promise<unknown> {
  for (;;) {
    const made = said.find(({ message }) => message === "made a template with the root of an image");
    if (made !== undefined) return made.fields.template;
    await Bun.sleep(10);
  }
}

const builds = (): number => said.filter(({ message }) => message === "made a template").length;

function onlyTemplate(): string {
  const names = readdirSync(templateDirectory);
  expect(names.length).toBe(1);
  return join(templateDirectory, names[0] ?? "");
}

/** Damage that the sums do not tell, as if the template had been made that way. */
function forge(change: (content: Buffer) => Buffer, name: "memory" | "devices"): void {
  const place = onlyTemplate();
  const content = change(readFileSync(join(place, name)));
  writeFileSync(join(place, name), content);
  const manifest = JSON.parse(readFileSync(join(place, "manifest.json"), "utf8"));
  manifest[`${name}Sum`] = createHash("sha256").update(content).digest("hex");
  writeFileSync(join(place, "manifest.json"), JSON.stringify(manifest));
}

async function outputOfOne(spec: SandboxSpec): Promise<string> {
  const sandbox = await wall.create(spec);
  try {
    return await outputOf(sandbox);
  } finally {
    await sandbox.remove();
  }
}

/** Runs a workload; the answer says whether its machine came from a template. */
async function runOne(script = "echo up"): Promise<{ output: string; restored: boolean }> {
  const sandbox = await wall.create(specOf(script));
  try {
    const restored = commandLine(sandbox).includes("-incoming");
    return { output: await outputOf(sandbox), restored };
  } finally {
    await sandbox.remove();
  }
}

const siblings = 50;
const atOnce = 10;

/** Runs that many machines of one template beside each other. */
async function runSiblings(script: string): Promise<{ spec: SandboxSpec; lines: string[] }[]> {
  const specs = Array.from({ length: atOnce }, () => specOf(script));
  const made = await Promise.all(specs.map((spec) => wall.create(spec)));
  try {
    for (const sandbox of made) expect(commandLine(sandbox)).toContain("-incoming");
    return await Promise.all(
      made.map(async (sandbox) => ({
        spec: sandbox.spec,
        lines: (await outputOf(sandbox)).trim().split("\n"),
      })),
    );
  } finally {
    await Promise.all(made.map((sandbox) => sandbox.remove()));
  }
}

describe("machines from a template", () => {
  test(
    "fifty siblings, ten at once, wait for one template and differ in all that has to differ",
    async () => {
      // The first thing that the workload's first process does is to make itself a key.
      const script =
        "head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \\n'; echo;" +
        "cat /etc/machine-id /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid; hostname;" +
        "head -c 16 /dev/urandom | od -An -tx1; busybox date +%s; cat /etc/other-id";
      const unique = ["key", "machine-id", "boot_id", "uuid", "hostname", "random"] as const;
      const seen = unique.map(() => new Set<string>());
      for (let batch = 0; batch < siblings / atOnce; batch++)
        for (const { spec, lines } of await runSiblings(script)) {
          for (const [index, values] of seen.entries()) {
            expect([unique[index], lines[index]]).not.toEqual([unique[index], ""]);
            values.add(lines[index] ?? "");
          }
          expect(lines[0]).toMatch(/^[0-9a-f]{64}$/);
          expect(lines[1]).toMatch(/^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
          expect(lines[4]).toBe(spec.hostname);
          expect(Math.abs(Number(lines[6]) - Date.now() / 1000)).toBeLessThan(60);
          expect(lines[7]).toBe("kept");
        }
      for (const [index, values] of seen.entries())
        expect([unique[index], values.size]).toEqual([unique[index], siblings]);
      expect(builds()).toBe(1);
      expect(warnings()).toEqual([]);
      // Many of them began with the image's root.
      await rootMade();
      expect(readdirSync(join(options.stateDirectory, "builds"))).toEqual([]);
    },
    2 * patience,
  );

  test(
    "the root of an image that is started again is there before, and every workload has one of its own",
    async () => {
      const script =
        "cat /etc/machine-id /etc/hostname; grep -c vm /etc/hosts; ls /left 2>/dev/null; touch /left; grep -c overlay /proc/mounts";
      const before = [await runOne(script), await runOne(script)].map(({ output }) => output.split("\n")[0]);
      const template = await rootMade();
      const ids = new Set(before);
      for (let more = 0; more < 2; more++) {
        const spec = specOf(script);
        const [id, hostname, ...rest] = (await outputOfOne(spec)).trim().split("\n");
        ids.add(id);
        expect([hostname, ...rest]).toEqual([spec.hostname, "1", "1"]);
        expect(origins().at(-1)).toBe(template);
      }
      expect(ids.size).toBe(4);
      // What the daemon has in a directory that something is mounted over is there, too.
      const mounts = [{ type: "tmpfs", source: "", target: "/etc", readOnly: false, options: [] }] as const;
      const spec = specOf("cat /etc/hostname; ls /etc", { mounts });
      expect(await outputOfOne(spec)).toBe(`${spec.hostname}\nhostname\nhosts\nresolv.conf\n`);
      expect(origins().at(-1)).toBe(template);
      expect(warnings()).toEqual([]);
    },
    patience,
  );

  test(
    "a size is honoured exactly, with a template of its own",
    async () => {
      const resources = { memoryBytes: 200 * 1024 * 1024, cpus: 2, pids: 0 };
      const sandbox = await wall.create(
        specOf("grep -c processor /proc/cpuinfo; grep MemTotal /proc/meminfo", { resources }),
      );
      try {
        expect(commandLine(sandbox)).toContain("-incoming");
        const [processors, memory] = (await outputOf(sandbox)).trim().split("\n");
        expect(processors).toBe("2");
        const total = Number(/\d+/.exec(memory ?? "")?.[0]) / 1024;
        // The kernel keeps some for itself, but a machine of the default size has less.
        expect(total).toBeGreaterThan(128);
        expect(total).toBeLessThan(200);
      } finally {
        await sandbox.remove();
      }
      expect(builds()).toBe(1);
      const templates = await wall.templates.list();
      expect(templates.map(({ cpus }) => cpus).sort()).toEqual([1, 2]);
      for (const { key, cpus } of templates) if (cpus === 2) await wall.templates.remove(key);
    },
    patience,
  );

  test(
    "a later daemon uses the template of an earlier one, and makes a damaged one anew",
    async () => {
      expect(await runOne()).toEqual({ output: "up\n", restored: true });
      expect(builds()).toBe(0);
      await wall.close();
      writeFileSync(join(onlyTemplate(), "devices"), "garbage");
      wall = createVmWall(options);
      expect(await runOne()).toEqual({ output: "up\n", restored: true });
      expect(builds()).toBe(1);
      expect(warnings().join()).toContain("a template is damaged and is made anew");
    },
    patience,
  );
});

test(
  "a daemon that ends does not wait for a template, and leaves nothing of it",
  async () => {
    const resources = { memoryBytes: 96 * 1024 * 1024, cpus: 0, pids: 0 };
    const creating = wall.create(specOf("true", { resources })).catch((error: unknown) => error);
    const places = join(options.stateDirectory, "builds");
    const builds = (): string[] => (existsSync(places) ? readdirSync(places) : []);
    while (!builds().some((name) => existsSync(join(places, name, "vm", "agent")))) await Bun.sleep(5);
    await wall.close();
    expect(builds()).toEqual([]);
    const sandbox = await creating;
    if (!(sandbox instanceof Error)) await (sandbox as Sandbox).remove();
    expect((await wall.templates.list()).map(({ memoryBytes }) => memoryBytes)).not.toContain(
      resources.memoryBytes,
    );
  },
  patience,
);

describe("a template that does not work", () => {
  test(
    "a QEMU that is killed while it takes up the template is named, and the machine boots",
    async () => {
      const spec = specOf("echo up");
      const pidFile = join(spec.runtimeDirectory, "jail", "pid");
      const creating = wall.create(spec);
      let pid = 0;
      // Until QEMU is there: what waits for the start has another command line.
      while (pid === 0 || !readProc(pid, "cmdline")?.includes("-incoming")) {
        if (existsSync(pidFile)) pid = Number.parseInt(readFileSync(pidFile, "utf8"), 10) || 0;
        await Bun.sleep(1);
      }
      process.kill(pid, "SIGKILL");
      const sandbox = await creating;
      try {
        expect(commandLine(sandbox)).not.toContain("-incoming");
        expect(await outputOf(sandbox)).toBe("up\n");
      } finally {
        await sandbox.remove();
      }
      expect(warnings().join()).toContain("its template does not work and is made anew: QEMU ended");
    },
    patience,
  );

  test.each([
    ["QEMU refuses its devices", "devices", (content: Buffer) => content.subarray(0, content.length / 2)],
    ["QEMU is given garbage", "devices", (content: Buffer) => Buffer.alloc(content.length, "garbage")],
    ["its kernel is gone", "memory", (content: Buffer) => Buffer.alloc(content.length, 0xff)],
  ] as const)(
    "is named and not used: the machine boots (%s)",
    async (_, name, change) => {
      if (!existsSync(templateDirectory) || readdirSync(templateDirectory).length === 0) await runOne();
      await wall.close();
      forge(change, name);
      said.length = 0;
      wall = createVmWall(options);
      expect(await runOne()).toEqual({ output: "up\n", restored: false });
      expect(warnings().join()).toContain("a virtual machine boots: its template does not work");
      expect(readdirSync(templateDirectory)).toEqual([]);
    },
    patience,
  );
});
