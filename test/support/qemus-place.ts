/** Runs a program where the jail has QEMU, with the real jail's configuration and the wall's own way to make it. */
import { expect } from "bun:test";
import { closeSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCgroupUsage } from "../../src/host/cgroup.ts";
import {
  createMemoryFile,
  memoryFileOf,
  reopenMemoryFile,
  sealMemoryFile,
} from "../../src/host/memory-file.ts";
import { run } from "../../src/host/spawn.ts";
import { parseLogLine } from "../../src/wall/log.ts";
import type { OciConfig } from "../../src/wall/oci/config.ts";
import { OciRuntime } from "../../src/wall/oci/runtime.ts";
import { createJail } from "../../src/wall/vm/create-jail.ts";
import { DeviceNodes } from "../../src/wall/vm/device-nodes.ts";
import { diskBytes, fileName } from "../../src/wall/vm/disk.ts";
import { jailUser } from "../../src/wall/vm/jail-identity.ts";
import { layoutOf } from "../../src/wall/vm/layout.ts";
import { configOf, jailOptions, type MachineParts, makeDirectories } from "../../src/wall/vm/machine.ts";
import type { VmPrograms } from "../../src/wall/vm/programs.ts";
import type { TemplateLease } from "../../src/wall/vm/template/loaded.ts";
import type { ExitStatus, SandboxSpec } from "../../src/wall/wall.ts";

export const secret = "what the template holds";
export const layerContent = "a layer";
export const templateBytes = 1024 * 1024;

export interface Ended {
  readonly output: string;
  readonly exit: ExitStatus;
  /** Size of the file that its output went to. */
  readonly logged: number;
}

export interface PlaceOptions {
  /** Words behind QEMU's arguments. */
  readonly words: readonly string[];
  readonly change?: ((config: OciConfig) => OciConfig) | undefined;
  readonly parts?: MachineParts;
}

/** A jail's surroundings: a layer, a template in memory, a runtime. */
export class QemusPlace implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "hostile-"));
  readonly program = join(this.directory, "hostile");
  readonly layer = join(this.directory, "layer");
  /** The template's memory. */
  readonly memory = createMemoryFile("template", templateBytes);
  readonly #devices = memoryFileOf("devices", Buffer.from("state"));
  readonly #programs: VmPrograms = {
    qemu: Bun.which("qemu-system-x86_64") ?? "",
    runtime: Bun.which("crun") ?? "",
    conmon: Bun.which("conmon") ?? "",
    kernel: "/no/kernel",
    initramfs: "/no/initramfs",
    discard: join(import.meta.dir, "../../.cache/guest/discard.so"),
    freeze: "/no/freeze",
    thaw: "/no/thaw",
  };
  readonly #runtime = new OciRuntime({ ...this.#programs, runtimeRoot: join(this.directory, "oci") });
  #count = 0;

  constructor() {
    writeFileSync(this.layer, layerContent);
    writeFileSync(`/proc/self/fd/${this.memory}`, secret, { flag: "r+" });
    sealMemoryFile(this.memory);
  }

  [Symbol.dispose](): void {
    for (const descriptor of [this.memory, this.#devices]) closeSync(descriptor);
    rmSync(this.directory, { recursive: true, force: true });
  }

  async compile(source: string): Promise<void> {
    const flags = "-std=gnu2x -D_GNU_SOURCE -static -O1 -Wall -Wextra -Werror -pthread";
    const built = await run(["cc", ...flags.split(" "), "-o", this.program, source]);
    expect([built.code, built.stderr]).toEqual([0, ""]);
  }

  partsOf(more: Partial<SandboxSpec> = {}): MachineParts {
    const id = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
    const own = join(this.directory, `w${++this.#count}`);
    mkdirSync(own);
    const spec: SandboxSpec = {
      id,
      name: id.slice(0, 12),
      directory: own,
      runtimeDirectory: join(this.directory, `r${this.#count}`),
      layers: [this.layer],
      process: {
        args: [],
        env: [],
        cwd: "/",
        user: "",
        capabilities: [],
        terminal: false,
        stdin: false,
        stdinOnce: false,
      },
      hostname: "vm",
      readOnlyRoot: false,
      resources: { memoryBytes: 0, cpus: 0, pids: 0 },
      logPath: join(own, "log"),
      ...more,
    };
    const template: TemplateLease = {
      key: "",
      size: { memoryBytes: templateBytes, processors: 1, layerPlaces: 6 },
      image: {
        memory: this.memory,
        memoryBytes: templateBytes,
        usedBytes: templateBytes,
        devices: Buffer.of(),
        disk: this.memory,
      },
      openDevices: () => reopenMemoryFile(this.#devices),
      openWorkingSet: () => undefined,
      learn: () => undefined,
      [Symbol.dispose]: () => undefined,
    };
    const facts = { acceleration: "tcg", why: "", kvm: undefined } as const;
    const memoryBytes = 80 * 1024 * 1024;
    return {
      spec,
      layout: layoutOf(spec),
      runtime: this.#runtime,
      programs: this.#programs,
      facts,
      nodes: new DeviceNodes(join(this.directory, "devices")),
      memoryBytes,
      template,
    };
  }

  /** Runs the program to its end, and looks that nothing is left of the jail. */
  async run({ words, change = (config) => config, parts = this.partsOf() }: PlaceOptions): Promise<Ended> {
    const { spec, layout } = parts;
    await makeDirectories(parts);
    const disk = join(layout.disks, fileName(0));
    mkdirSync(layout.disks, { mode: 0o755, recursive: true });
    await Bun.write(disk, "");
    expect((await run(["truncate", "-s", String(diskBytes), disk])).code).toBe(0);
    expect((await run(["chown", String(jailUser(spec)), disk])).code).toBe(0);
    const config = await configOf(parts, [fileName(0)], true);
    const replaced: OciConfig = {
      ...config,
      process: { ...config.process, args: [...config.process.args, ...words] },
      mounts: [
        ...config.mounts,
        {
          destination: this.#programs.qemu,
          type: "bind",
          source: this.program,
          options: ["bind", "ro", "nosuid", "nodev"],
        },
      ],
    };
    const opened = parts.template?.openDevices() ?? -1;
    const options = jailOptions(spec, layout);
    const container = await createJail(this.#runtime, change(replaced), layout, options, [
      this.memory,
      opened,
    ]);
    closeSync(opened);
    try {
      await container.start();
      const exit = await container.wait();
      const text = readFileSync(layout.console, "latin1");
      const lines = text.split("\n").slice(0, -1);
      const output = lines.map((line) =>
        Buffer.from(parseLogLine(Buffer.from(line, "latin1"))?.data ?? []).toString(),
      );
      return { output: output.join(""), exit, logged: statSync(layout.console).size };
    } finally {
      await container.delete();
      expect(readCgroupUsage(this.#runtime.cgroups, options.cgroup)).toBeUndefined();
    }
  }
}
