/**
 * Templates that have the root of an image, made of a size's template: the agent has mounted the image's layers and the disk of
 * a new workload, so that a start need not. They are kept in memory only.
 *
 *   (lease -> (dispose | forget)? -> started)* -> close
 *
 * - One is made in the background a moment after the second start of an image; one at a time.
 * - They have a limit together: the one that is unused for longest goes first. Those of images that have gone go, too.
 * - Whatever is wrong with one costs time only: there is the size's template to start from.
 */
import { createHash } from "node:crypto";
import { fstatSync } from "node:fs";
import { stat } from "node:fs/promises";
import { messageOf } from "../../../contract/errors.ts";
import type { Logger } from "../../../contract/logger.ts";
import { usedBytes } from "../../../host/memory-file.ts";
import type { ProcessSpec } from "../../wall.ts";
import type { TemplateImage } from "./files.ts";
import type { MachineSize } from "./key.ts";
import { Loaded, type TemplateLease } from "./loaded.ts";

/** A size's template, and what is to be mounted in it. */
export interface RootedSize {
  /** Key of the size's template. */
  readonly base: string;
  readonly size: MachineSize;
  /** EROFS files, bottom layer first. */
  readonly layers: readonly string[];
  /** Of the workload that starts: its program is kept in the guest's memory, whatever else is started of the image. */
  readonly process: ProcessSpec;
  /** Whether its QEMU is to be kept, where that can be done (process.ts); by default it is. */
  readonly asProcess?: boolean;
}

export interface ImageTemplatesOptions {
  readonly make: (key: string, rooted: RootedSize, signal: AbortSignal) => Promise<TemplateImage>;
  readonly log: Logger;
  /** Milliseconds from a start until a template is made: whoever starts now needs the processors. */
  readonly pause?: number;
  /** Called when one was made. */
  readonly made?: () => void;
  /** Bytes of all of them; one has what its guest uses, 80 MB mostly, and 40 of its QEMU where that is kept (process.ts). */
  readonly limit?: number;
}

const usualPause = 1000;
const usualLimit = 384 * 1024 * 1024;
const startsBefore = 2;
/** A host where the processes of that many images did not go on is none for them. */
const mostFailures = 3;
/** Images whose starts are counted. */
const mostCounted = 256;

interface Kept {
  readonly rooted: RootedSize;
  readonly bytes: number;
  readonly loaded: Loaded;
}

export class ImageTemplates {
  readonly #options: ImageTemplatesOptions;
  /** The one that was used last is the last. */
  readonly #kept = new Map<string, Kept>();
  readonly #starts = new Map<string, number>();
  /** Size's templates whose QEMU cannot be kept. */
  readonly #neverProcess = new Set<string>();
  /** Images whose process did not go on. */
  readonly #withoutProcess = new Set<string>();
  readonly #ending = new AbortController();
  #making: Promise<void> | undefined;
  /** Of what is being made. */
  #made: { readonly rooted: RootedSize; readonly abandon: AbortController } | undefined;
  /** The one that was asked for last while another was being made. */
  #next: { readonly key: string; readonly rooted: RootedSize } | undefined;

  constructor(options: ImageTemplatesOptions) {
    this.#options = options;
  }

  /** Whether there is one that is a process, for whoever need not know whether its files are still the same. */
  hasProcess(of: Pick<RootedSize, "size" | "layers">): boolean {
    return this.#processesOf(of).length > 0;
  }

  #processesOf({ size, layers }: Pick<RootedSize, "size" | "layers">): [string, Kept][] {
    const wanted = JSON.stringify([size, layers]);
    return [...this.#kept].filter(
      ([, { rooted, loaded }]) =>
        loaded.image.process !== undefined && JSON.stringify([rooted.size, rooted.layers]) === wanted,
    );
  }

  /** Undefined when there is none. */
  async lease(rooted: RootedSize): Promise<TemplateLease | undefined> {
    if (this.#kept.size === 0) return undefined;
    const key = await keyOf(rooted);
    const found = this.#kept.get(key);
    if (found === undefined) return undefined;
    this.#touch(key, found);
    return found.loaded.lease(key, rooted.size);
  }

  /** As `lease`, but one is made if there is none yet; undefined where it cannot be made, or its QEMU not be kept. */
  async provide(rooted: RootedSize): Promise<TemplateLease | undefined> {
    const key = await keyOf(rooted);
    if (this.#neverProcess.has(rooted.base)) return undefined;
    while (this.#making !== undefined) await this.#making;
    const isHopeless = this.#starts.get(key) === Number.NEGATIVE_INFINITY;
    if (!this.#kept.has(key) && !isHopeless && !this.#ending.signal.aborted) {
      await this.#begin(key, rooted, 0);
    }
    const kept = this.#kept.get(key);
    if (kept !== undefined && this.#neverProcess.has(rooted.base)) this.#drop(key, kept);
    return this.lease(rooted);
  }

  /** A workload of the image, which is new, has started, and not by a lease of its template. */
  async started(rooted: RootedSize): Promise<void> {
    const key = await keyOf(rooted);
    const found = this.#kept.get(key);
    if (found !== undefined) return this.#touch(key, found);
    const starts = (this.#starts.get(key) ?? 0) + 1;
    this.#starts.delete(key);
    this.#starts.set(key, starts);
    const [oldest] = this.#starts.keys();
    if (this.#starts.size > mostCounted && oldest !== undefined) this.#starts.delete(oldest);
    if (starts < startsBefore || this.#ending.signal.aborted) return;
    if (this.#making === undefined) void this.#begin(key, rooted);
    else this.#next = { key, rooted };
  }

  /** Resolves when nothing is being made. */
  async settled(): Promise<void> {
    while (this.#making !== undefined) await this.#making;
  }

  /** One that does not work. If it was a process, the next one of the image is a state of the devices. */
  forget({ key, image }: Pick<TemplateLease, "key" | "image">): void {
    const loaded = this.#kept.get(key)?.loaded;
    // It went by itself meanwhile, and the image may have another one.
    if (loaded?.image !== image) return;
    const wasProcess = image.process !== undefined;
    if (wasProcess) this.#withoutProcess.add(key);
    loaded.forget();
    this.#kept.delete(key);
    this.#starts.set(key, wasProcess ? startsBefore - 1 : Number.NEGATIVE_INFINITY);
  }

  /** All that were made of a size's template. */
  forgetThoseOf(base: string): void {
    for (const [key, kept] of this.#kept) if (kept.rooted.base === base) this.#drop(key, kept);
  }

  /** Those that `hasProcess` tells of: of files, or of a size's template, that are others by now. */
  forgetProcesses({ size, layers }: Pick<RootedSize, "size" | "layers">): void {
    for (const [key, kept] of this.#processesOf({ size, layers })) this.#drop(key, kept);
  }

  /** All that have one of these layers, which are no more. Resolves when none is being made any longer. */
  async forgetLayers(paths: readonly string[]): Promise<void> {
    const gone = new Set(paths);
    const hasGone = ({ layers }: RootedSize): boolean => layers.some((path) => gone.has(path));
    for (const [key, kept] of this.#kept) if (hasGone(kept.rooted)) this.#drop(key, kept);
    if (this.#next !== undefined && hasGone(this.#next.rooted)) this.#next = undefined;
    if (this.#made === undefined || !hasGone(this.#made.rooted)) return;
    this.#made.abandon.abort();
    await this.#making;
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#making;
    for (const [key, kept] of this.#kept) this.#drop(key, kept);
  }

  #begin(key: string, rooted: RootedSize, pause?: number): Promise<void> {
    const making = this.#make(key, rooted, pause).finally(() => {
      this.#making = undefined;
      this.#made = undefined;
      const next = this.#next;
      this.#next = undefined;
      if (next === undefined || this.#kept.has(next.key) || this.#ending.signal.aborted) return;
      if (this.#starts.get(next.key) !== Number.NEGATIVE_INFINITY) void this.#begin(next.key, next.rooted);
    });
    this.#making = making;
    return making;
  }

  async #make(key: string, rooted: RootedSize, pause = this.#options.pause ?? usualPause): Promise<void> {
    const abandon = new AbortController();
    const signal = AbortSignal.any([this.#ending.signal, abandon.signal]);
    this.#made = { rooted, abandon };
    const fields = { template: key.slice(0, 12), layers: rooted.layers.length };
    await pauseFor(pause, signal);
    if (signal.aborted) return;
    try {
      const begun = performance.now();
      const asProcess =
        !this.#neverProcess.has(rooted.base) &&
        !this.#withoutProcess.has(key) &&
        this.#withoutProcess.size < mostFailures;
      const image = await this.#options.make(key, { ...rooted, asProcess }, signal);
      const bytes = image.usedBytes + bytesOfState(image);
      const loaded = new Loaded(image);
      if (signal.aborted) return loaded.forget();
      this.#kept.set(key, { rooted, bytes, loaded });
      const milliseconds = Math.round(performance.now() - begun);
      const { process, notProcess } = image;
      const how = process === undefined ? { from: "state", why: notProcess?.why } : { from: "process" };
      if (notProcess?.forGood === true) this.#refuse(rooted.base, notProcess.why);
      const what = rooted.layers.length === 0 ? "for machines that wait" : "with the root of an image";
      this.#options.log.debug(`made a template ${what}`, { ...fields, milliseconds, ...how });
      this.#keepLimit();
      this.#options.made?.();
    } catch (error) {
      if (signal.aborted) return;
      this.#starts.set(key, Number.NEGATIVE_INFINITY);
      const why = messageOf(error);
      this.#options.log.warn("a template with the root of an image could not be made", { ...fields, why });
    }
  }

  #refuse(base: string, why: string): void {
    if (this.#neverProcess.has(base)) return;
    this.#neverProcess.add(base);
    const template = base.slice(0, 12);
    const message =
      "virtual machines go on from states of their devices: their QEMU cannot be kept as a process";
    this.#options.log.info(message, { template, why });
  }

  #touch(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.#kept.set(key, kept);
  }

  #keepLimit(): void {
    let bytes = [...this.#kept.values()].reduce((sum, kept) => sum + kept.bytes, 0);
    for (const [key, kept] of this.#kept) {
      if (bytes <= (this.#options.limit ?? usualLimit)) return;
      bytes -= kept.bytes;
      this.#drop(key, kept);
      // What is too large by itself would be made again and again.
      if (this.#kept.size === 0) this.#starts.set(key, Number.NEGATIVE_INFINITY);
      else this.#starts.delete(key);
    }
  }

  #drop(key: string, { loaded }: Kept): void {
    loaded.forget();
    this.#kept.delete(key);
  }
}

function bytesOfState({ devices, process }: TemplateImage): number {
  return process === undefined ? devices.length : usedBytes(process, fstatSync(process).size);
}

async function keyOf({ base, layers }: RootedSize): Promise<string> {
  const files = await signatureOf(layers);
  return createHash("sha256")
    .update(JSON.stringify([base, files]))
    .digest("hex");
}

/** A layer's file stays as it is while a workload has it, and may be another one afterwards. */
export async function signatureOf(layers: readonly string[]): Promise<string> {
  const files = await Promise.all(
    layers.map(async (path) => {
      const { dev, ino, size, mtimeMs } = await stat(path);
      return [path, dev, ino, size, mtimeMs];
    }),
  );
  return JSON.stringify(files);
}

function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    timer.unref();
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
