/**
 * Starts from templates: a new workload's from one that has its image's root, if there is one, any other from its size's.
 * Whatever is wrong with a template costs time only: without one the machine boots, and the log says why.
 */
import { messageOf } from "../../../contract/errors.ts";
import type { Logger } from "../../../contract/logger.ts";
import type { ProcessSpec, SandboxSpec } from "../../wall.ts";
import { diskFiles } from "../disk.ts";
import { RestoreFailure } from "../greet.ts";
import type { HostParts, VmHost } from "../host.ts";
import { type MachineParts, memoryOf, processorsOf } from "../machine.ts";
import type { WriteRehearsalLayer } from "../rehearsal.ts";
import type { VmSandbox } from "../sandbox.ts";
import type { TemplateImage } from "./files.ts";
import { ImageTemplates, type RootedSize } from "./images.ts";
import { type MachineSize, placesFor } from "./key.ts";
import type { TemplateLease } from "./loaded.ts";
import { TemplateStore } from "./store.ts";

export interface TemplateStartsOptions {
  readonly host: VmHost;
  /** False: every machine boots. */
  readonly enabled: boolean;
  /** Gone after a reboot. */
  readonly stateDirectory: string;
  readonly templateDirectory: string;
  readonly log: Logger;
  readonly make: (parts: MachineParts) => Promise<VmSandbox>;
  readonly writeRehearsalLayer?: WriteRehearsalLayer | undefined;
  /** A new workload has started. */
  readonly started: (spec: SandboxSpec) => void;
  /** Machines could wait for an image that they could not wait for before. */
  readonly refined: () => void;
}

export class TemplateStarts {
  readonly store: TemplateStore;
  readonly #options: TemplateStartsOptions;
  readonly #images: ImageTemplates;

  constructor(options: TemplateStartsOptions) {
    const { log, templateDirectory: directory, stateDirectory } = options;
    this.#options = options;
    this.#images = new ImageTemplates({
      log,
      make: (...what) => this.#refine(...what),
      made: options.refined,
    });
    const removed = (key: string): void => this.#images.forgetThoseOf(key);
    this.store = new TemplateStore({ directory, stateDirectory, log, removed });
  }

  /** What the first machine of a size has to wait for. */
  async delay({ resources, layers }: SandboxSpec): Promise<string | undefined> {
    const { host, enabled } = this.#options;
    const programs = host.find();
    const layerPlaces = placesFor(layers.length);
    if (!enabled || "missing" in programs || layerPlaces === undefined) return undefined;
    const facts = await host.look(programs);
    let size: MachineSize;
    try {
      size = { memoryBytes: memoryOf(resources), processors: processorsOf(resources), layerPlaces };
    } catch {
      // What is wrong with the size is for the start to say.
      return undefined;
    }
    if (await this.store.has(size, { programs, facts })) return undefined;
    return `the first virtual machine of ${size.memoryBytes / 2 ** 20} MiB and ${size.processors} CPU waits until its template is made, once`;
  }

  /** Undefined when there can be no template, or it does not work: the machine has to boot. */
  async start(parts: MachineParts): Promise<VmSandbox | undefined> {
    const lease = await this.#lease(parts);
    if (lease === undefined) return undefined;
    using template = lease;
    const { spec, layout } = parts;
    const rooted = {
      base: template.key,
      size: template.size,
      layers: spec.layers,
      process: spec.process,
    };
    const isNew = (await diskFiles(layout.disks)).length === 0;
    if (isNew) this.#options.started(spec);
    const fromImage = isNew ? await this.#fromImage(parts, rooted) : undefined;
    if (fromImage !== undefined) return fromImage;
    try {
      const made = await this.#options.make({ ...parts, template });
      if (isNew) await this.#images.started(rooted);
      return made;
    } catch (error) {
      if (!(error instanceof RestoreFailure)) throw error;
      this.#options.log.warn("a virtual machine boots: its template does not work and is made anew", {
        name: spec.name,
        template: template.key.slice(0, 12),
        why: messageOf(error),
      });
      await this.store.remove(template.key);
      return undefined;
    }
  }

  /** A new workload has started in a machine that waited. */
  async startedWaiting({ layers, process }: SandboxSpec, size: MachineSize): Promise<void> {
    const host = await this.#options.host.parts();
    // With KVM no machine waits with an image's root.
    if (host.facts.acceleration !== "tcg") return;
    const base = await this.store.keyOf(size, host);
    await this.#images.started({ base, size, layers, process });
  }

  /** Whether machines can wait with the root of that image. */
  canWaitWith(layers: readonly string[], size: MachineSize): boolean {
    return layers.length > 0 && this.#images.hasProcess({ size, layers });
  }

  /** Layers that are no more; resolves when no template is being made of them. */
  forgetLayers(paths: readonly string[]): Promise<void> {
    return this.#images.forgetLayers(paths);
  }

  /**
   * What a machine that waits is made of: the process that has the image's root. For no image, under emulation a process that
   * has rehearsed once for all of them, else the template of its size. Throws why there is none.
   */
  async forWaiting(size: MachineSize, host: HostParts, layers: readonly string[]): Promise<TemplateLease> {
    const base = await this.store.lease(size, host);
    if (layers.length > 0) return await this.#withRoot(base, layers);
    if (host.facts.acceleration !== "tcg" || this.#options.writeRehearsalLayer === undefined) return base;
    const rooted = { base: base.key, size, layers: [], process: noProcess };
    const copied = await this.#images.provide(rooted).catch((error: unknown) => {
      base[Symbol.dispose]();
      throw error;
    });
    if (copied?.image.process === undefined) {
      copied?.[Symbol.dispose]();
      return base;
    }
    base[Symbol.dispose]();
    return copied;
  }

  async #withRoot(base: TemplateLease, layers: readonly string[]): Promise<TemplateLease> {
    using sized = base;
    try {
      const rooted = { base: sized.key, size: sized.size, layers, process: noProcess };
      const found = await this.#images.lease(rooted);
      if (found?.image.process !== undefined) return found;
      found?.[Symbol.dispose]();
    } catch (error) {
      this.#images.forgetProcesses({ size: sized.size, layers });
      throw error;
    }
    this.#images.forgetProcesses({ size: sized.size, layers });
    throw new Error("the image has another template by now");
  }

  /** A machine that was to wait did not come of it. */
  refused(template: TemplateLease): void {
    if (template.image.process !== undefined) this.#images.forget(template);
  }

  async close(): Promise<void> {
    await Promise.all([this.#images.close(), this.store.close()]);
  }

  async #lease(parts: MachineParts): Promise<TemplateLease | undefined> {
    const { log, enabled } = this.#options;
    if (!enabled) return undefined;
    const { spec, runtime, programs, facts, memoryBytes } = parts;
    const { name, layers } = spec;
    if (spec.storageBytes !== undefined) {
      log.info("a virtual machine boots: templates have a disk of another size", { name });
      return undefined;
    }
    const layerPlaces = placesFor(layers.length);
    if (layerPlaces === undefined) {
      const fields = { name, layers: layers.length };
      log.info("a virtual machine boots: no template has places for so many layers", fields);
      return undefined;
    }
    const size = { memoryBytes, processors: processorsOf(spec.resources), layerPlaces };
    try {
      return await this.store.lease(size, { runtime, programs, facts });
    } catch (error) {
      const why = messageOf(error);
      log.warn("a virtual machine boots: there is no template for it", { name, why });
      return undefined;
    }
  }

  /** Undefined when there is no template with the image's root, or it does not work. */
  async #fromImage(parts: MachineParts, rooted: RootedSize): Promise<VmSandbox | undefined> {
    using template = await this.#images.lease(rooted);
    if (template === undefined) return undefined;
    try {
      return await this.#options.make({ ...parts, template });
    } catch (error) {
      if (!(error instanceof RestoreFailure)) throw error;
      this.#options.log.warn("a template with the root of an image does not work", {
        name: parts.spec.name,
        why: messageOf(error),
      });
      this.#images.forget(template);
      return undefined;
    }
  }

  async #refine(
    key: string,
    { size, layers, process, asProcess }: RootedSize,
    signal: AbortSignal,
  ): Promise<TemplateImage> {
    const { writeRehearsalLayer } = this.#options;
    const host = await this.#options.host.parts();
    using base = await this.store.lease(size, host);
    return await this.store.refine(
      key,
      { base, layers, process, asProcess, writeRehearsalLayer },
      host,
      signal,
    );
  }
}

/** Of nobody yet. */
const noProcess: ProcessSpec = {
  ...{ args: [], env: [], cwd: "/", user: "", capabilities: [] },
  ...{ terminal: false, stdin: false, stdinOnce: false },
};
