/**
 * The templates that virtual machines start from (docs in files.ts for what one is on disk).
 *
 *   cleanUp -> (lease -> dispose | build | list | remove | prune)* -> close
 *
 * - `lease` gives the template for a size: kept in memory, read from the disk, or built, in that order. Whoever
 *   asks for one that is being made waits for it.
 * - A template in memory is one sealed file, which all machines map; it is closed when it is forgotten and nobody
 *   has it leased. Machines that run have their own mapping of it.
 * - One that cannot be written to the disk is used from memory, with a warning, until the daemon ends.
 */
import { closeSync, existsSync } from "node:fs";
import { HullError, isHullError, messageOf } from "../../../contract/errors.ts";
import { type Logger, silentLogger } from "../../../contract/logger.ts";
import type { OciRuntime } from "../../oci/runtime.ts";
import type { AccelerationFacts } from "../acceleration.ts";
import type { VmPrograms } from "../programs.ts";
import { buildImage, type Refinement, removeBuilds } from "./build.ts";
import {
  listTemplates,
  loadTemplate,
  removeDrafts,
  removeTemplate,
  saveTemplate,
  type TemplateEntry,
  type TemplateImage,
} from "./files.ts";
import { FileSums, type MachineSize, type PartSums, templateKey } from "./key.ts";
import { Loaded, type TemplateLease } from "./loaded.ts";

export interface StoreOptions {
  /** Outlives a reboot. */
  readonly directory: string;
  /** Does not. */
  readonly stateDirectory: string;
  readonly log?: Logger;
  /** Called with the key of a template that is taken away. */
  readonly removed?: (key: string) => void;
}

/** What is needed to make or to use a template. */
export interface HostParts {
  readonly runtime: OciRuntime;
  readonly programs: VmPrograms;
  readonly facts: AccelerationFacts;
}

/** Milliseconds. */
const retryAfter = 60_000;

export class TemplateStore {
  readonly #options: StoreOptions;
  readonly #log: Logger;
  readonly #sums = new FileSums();
  readonly #loaded = new Map<string, Promise<Loaded>>();
  /** Why a template could not be made, and when: each attempt costs as long as a boot. */
  readonly #failures = new Map<string, { readonly at: number; readonly error: unknown }>();
  readonly #ending = new AbortController();
  #cleaned: Promise<void> | undefined;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLogger;
  }

  /** Takes away what was left half-made. Done once, and before anything is made. */
  cleanUp(runtime: OciRuntime): Promise<void> {
    this.#cleaned ??= (async () => {
      await removeDrafts(this.#options.directory);
      await removeBuilds(runtime, this.#options.stateDirectory);
    })().catch((error: unknown) => {
      this.#cleaned = undefined;
      throw error;
    });
    return this.#cleaned;
  }

  /** Sums of the parts that a machine is made of. */
  sums(programs: VmPrograms): Promise<PartSums> {
    return this.#sums.of(programs);
  }

  /** Names the template for machines of a size, whether there is one or not. */
  async keyOf(
    size: MachineSize,
    { programs, facts }: Pick<HostParts, "programs" | "facts">,
  ): Promise<string> {
    return templateKey(size, await this.#sums.of(programs), facts);
  }

  /** Whether a machine of that size starts without waiting for its template; a damaged one is taken for whole. */
  async has(size: MachineSize, host: Pick<HostParts, "programs" | "facts">): Promise<boolean> {
    const key = await this.keyOf(size, host);
    return this.#loaded.has(key) || existsSync(`${this.#options.directory}/${key}`);
  }

  /** The template for machines of a size, made if there is none. Throws why it cannot be made. */
  async lease(size: MachineSize, host: HostParts): Promise<TemplateLease> {
    const parts = await this.#sums.of(host.programs);
    const key = templateKey(size, parts, host.facts);
    let loading = this.#loaded.get(key);
    if (loading === undefined) {
      const failure = this.#failures.get(key);
      if (failure !== undefined && Date.now() - failure.at < retryAfter) throw failure.error;
      loading = this.#load(key, size, parts, host).then((image) => new Loaded(image));
      this.#loaded.set(key, loading);
      loading.then(
        () => this.#failures.delete(key),
        (error: unknown) => {
          this.#loaded.delete(key);
          this.#failures.set(key, { at: Date.now(), error });
        },
      );
    }
    return (await loading).lease(key, size) ?? this.lease(size, host);
  }

  /** A template that is made of another one and an image (images.ts). The caller keeps it. */
  refine(key: string, refined: Refinement, host: HostParts, signal: AbortSignal): Promise<TemplateImage> {
    const { stateDirectory } = this.#options;
    return buildImage({ key, size: refined.base.size, ...host, stateDirectory, signal, refined });
  }

  /** As `lease`, but what cannot be kept on the disk is an error. */
  async build(size: MachineSize, host: HostParts): Promise<TemplateEntry> {
    using template = await this.lease(size, host);
    const isKept = ({ key }: TemplateEntry): boolean => key === template.key;
    const kept = (await this.list()).find(isKept);
    if (kept !== undefined) return kept;
    const parts = await this.#sums.of(host.programs);
    await this.#save(template.key, size, parts, host, template.image);
    const saved = (await this.list()).find(isKept);
    if (saved === undefined)
      throw new HullError("internal", { what: "the template was taken away meanwhile" });
    return saved;
  }

  list(): Promise<TemplateEntry[]> {
    return listTemplates(this.#options.directory);
  }

  /** Of no use any more: made of other parts than those of today, or damaged. */
  async outdated(programs: VmPrograms): Promise<TemplateEntry[]> {
    const parts = await this.#sums.of(programs);
    return (await this.list()).filter(
      ({ manifest }) => manifest === undefined || JSON.stringify(manifest.parts) !== JSON.stringify(parts),
    );
  }

  /** Takes a template away. Machines that were started from it run on. */
  async remove(key: string): Promise<void> {
    await removeTemplate(this.#options.directory, key);
    const loading = this.#loaded.get(key);
    this.#loaded.delete(key);
    this.#options.removed?.(key);
    (await loading?.catch(() => undefined))?.forget();
  }

  /** Abandons what is being made. */
  async close(): Promise<void> {
    this.#ending.abort();
    const all = [...this.#loaded.values()];
    this.#loaded.clear();
    for (const loading of all) (await loading.catch(() => undefined))?.forget();
  }

  async #load(key: string, size: MachineSize, parts: PartSums, host: HostParts): Promise<TemplateImage> {
    await this.cleanUp(host.runtime);
    try {
      const found = await loadTemplate(this.#options.directory, key);
      if (found !== undefined) return found;
    } catch (error) {
      if (!isHullError(error, "corrupt")) throw error;
      this.#log.warn("a template is damaged and is made anew", { why: messageOf(error) });
      await removeTemplate(this.#options.directory, key);
    }
    return this.#build(key, size, parts, host);
  }

  async #build(key: string, size: MachineSize, parts: PartSums, host: HostParts): Promise<TemplateImage> {
    const { stateDirectory } = this.#options;
    const fields = {
      template: key.slice(0, 12),
      memoryBytes: size.memoryBytes,
      processors: size.processors,
      layers: size.layerPlaces,
    };
    const started = performance.now();
    this.#log.info("making a template for virtual machines of this size, once", fields);
    const image = await buildImage({ key, size, ...host, stateDirectory, signal: this.#ending.signal });
    try {
      await this.#save(key, size, parts, host, image);
    } catch (error) {
      if (!(error instanceof HullError)) {
        closeSync(image.memory);
        closeSync(image.disk);
        throw error;
      }
      this.#log.warn("a template stays in memory only: the next daemon has to make it again", {
        ...fields,
        why: messageOf(error),
      });
    }
    this.#log.info("made a template", { ...fields, milliseconds: Math.round(performance.now() - started) });
    return image;
  }

  async #save(
    key: string,
    size: MachineSize,
    parts: PartSums,
    { facts }: HostParts,
    image: TemplateImage,
  ): Promise<void> {
    const { acceleration } = facts;
    const description = { key, ...size, acceleration, createdAt: Date.now(), parts };
    await saveTemplate(this.#options.directory, description, image);
  }
}
