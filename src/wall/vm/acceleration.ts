/**
 * Whether this host can run a guest with KVM. /dev/kvm may be there and yet hang every guest, so one is booted
 * with a time limit, once per boot of the host.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { messageOf } from "../../contract/errors.ts";
import { start } from "../../host/spawn.ts";
import { AgentConnection } from "./agent.ts";
import { type Acceleration, qemuArguments } from "./arguments.ts";
import type { VmPrograms } from "./programs.ts";

export interface AccelerationFacts {
  readonly acceleration: Acceleration;
  /** Why there is no KVM; empty if there is. */
  readonly why: string;
  readonly kvm: { readonly major: number; readonly minor: number } | undefined;
}

export interface ProbeOptions {
  /** Where the answer is remembered; gone after a reboot. */
  readonly stateDirectory: string;
  readonly device?: string;
  /** Milliseconds. With KVM a guest boots in well under one second. */
  readonly limit?: number;
}

/** Directories of a try's sockets. */
const placePrefix = "kvm-";

const rememberedSchema = v.object({ boot: v.string(), why: v.string() });

export class AccelerationProbe {
  readonly #directory: string;
  readonly #device: string;
  readonly #limit: number;
  #facts: Promise<AccelerationFacts> | undefined;

  constructor({ stateDirectory, device = "/dev/kvm", limit = 10_000 }: ProbeOptions) {
    this.#directory = stateDirectory;
    this.#device = device;
    this.#limit = limit;
  }

  look(programs: VmPrograms): Promise<AccelerationFacts> {
    this.#facts ??= this.#find(programs).catch((error: unknown) => {
      // A disk that was full may not be for ever.
      this.#facts = undefined;
      throw error;
    });
    return this.#facts;
  }

  /** The answer, if it is known without booting a guest. */
  known(): AccelerationFacts | undefined {
    if (!existsSync(this.#device)) return without(`this host has no ${this.#device}`);
    const remembered = readRemembered(this.#memory);
    return remembered?.boot === bootId() ? this.#factsOf(remembered.why) : undefined;
  }

  async #find(programs: VmPrograms): Promise<AccelerationFacts> {
    const known = this.known();
    if (known !== undefined) return known;
    const why = await tryGuest(programs, this.#directory, this.#limit);
    await writeFile(`${this.#memory}.draft`, JSON.stringify({ boot: bootId(), why }), { mode: 0o600 });
    await rename(`${this.#memory}.draft`, this.#memory);
    return this.#factsOf(why);
  }

  get #memory(): string {
    return `${this.#directory}/kvm.json`;
  }

  #factsOf(why: string): AccelerationFacts {
    if (why !== "") return without(why);
    const { rdev } = statSync(this.#device);
    return { acceleration: "kvm", why: "", kvm: { major: rdev >> 8, minor: rdev & 0xff } };
  }
}

function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

function without(why: string): AccelerationFacts {
  return { acceleration: "tcg", why, kvm: undefined };
}

/** Boots a guest up to its agent. Resolves to why that did not work; empty if it did. */
async function tryGuest(programs: VmPrograms, directory: string, limit: number): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // What a daemon that was killed during its try left; its QEMU has ended with it.
  for (const name of await readdir(directory))
    if (name.startsWith(placePrefix)) await rm(join(directory, name), { recursive: true, force: true });
  const place = await mkdtemp(join(directory, placePrefix));
  const { qemu, kernel, initramfs } = programs;
  const child = start(
    qemuArguments({
      qemu,
      name: "hull-probe",
      acceleration: "kvm",
      memoryBytes: 128 * 1024 * 1024,
      processors: 1,
      kernel,
      initramfs,
      agentSocket: `path=${place}/agent`,
      monitorSocket: `path=${place}/qmp`,
      layers: [],
      share: place,
      taps: [],
    }),
    { stdio: ["ignore", "ignore", "ignore"], endsWithUs: true },
  );
  try {
    const gone = new AbortController();
    void child.exited.then(() => gone.abort());
    const connection = await AgentConnection.open(`${place}/agent`, {
      timeout: limit,
      signal: gone.signal,
    });
    connection.close();
    return "";
  } catch (error) {
    return `a guest under /dev/kvm ${messageOf(error)}`;
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    await rm(place, { recursive: true, force: true });
  }
}

function readRemembered(path: string): v.InferOutput<typeof rememberedSchema> | undefined {
  try {
    return v.parse(rememberedSchema, JSON.parse(readFileSync(path, "utf8")));
  } catch {
    // Not there yet, or not whole: the question is simply asked again.
    return undefined;
  }
}
