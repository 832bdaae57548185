/** What the steps of one build share. */
import { HullError, isHullError } from "../../contract/errors.ts";
import type { BuildSession, StageState } from "../../image/build/build-store.ts";
import type { BuildContext } from "../../image/build/context.ts";
import { findStage, type Stage, type StagePlan } from "../../image/build/dockerfile/stages.ts";
import { dockerfileError } from "../../image/build/dockerfile/syntax.ts";
import type { TreeNode } from "../../image/build/tree/node.ts";
import type { Image } from "../../image/image-store.ts";
import { formatPlatform, hostPlatform, matchPlatform, parsePlatform } from "../../image/platform.ts";
import { parseReference } from "../../image/reference.ts";
import { now } from "../clock.ts";
import type { EngineContext } from "../context.ts";
import type { CacheFrom } from "./cache-from.ts";
import type { BuildOutput, BuildRequest } from "./request.ts";
import { StageBuilder, shortImageId } from "./stage-builder.ts";
import type { RunView } from "./step.ts";

interface Parts {
  readonly context: EngineContext;
  readonly session: BuildSession;
  readonly request: BuildRequest;
  readonly output: BuildOutput;
  readonly signal: AbortSignal;
  readonly files: BuildContext;
  readonly plan: StagePlan;
  readonly escapeToken: string;
  readonly automatic: ReadonlyMap<string, string>;
  readonly cacheFrom: CacheFrom | undefined;
}

export class BuildRun implements RunView {
  readonly context: EngineContext;
  readonly session: BuildSession;
  readonly request: BuildRequest;
  readonly output: BuildOutput;
  readonly signal: AbortSignal;
  readonly escapeToken: string;
  readonly cacheFrom: CacheFrom | undefined;
  /** Names of arguments that an ARG was seen of. */
  readonly declared: Set<string>;
  readonly #files: BuildContext;
  readonly #plan: StagePlan;
  readonly #automatic: ReadonlyMap<string, string>;
  readonly #done = new Map<number, StageState>();
  readonly #epoch: number | undefined;
  readonly #steps: number;
  #step = 0;

  constructor(parts: Parts) {
    this.context = parts.context;
    this.session = parts.session;
    this.request = parts.request;
    this.output = parts.output;
    this.signal = parts.signal;
    this.escapeToken = parts.escapeToken;
    this.cacheFrom = parts.cacheFrom;
    this.#files = parts.files;
    this.#plan = parts.plan;
    this.#automatic = parts.automatic;
    this.#epoch = epochOf(parts.request.arguments.get("SOURCE_DATE_EPOCH"));
    this.declared = new Set([...parts.plan.globalArguments.keys(), "SOURCE_DATE_EPOCH"]);
    const { global, needed, stages } = parts.plan;
    this.#steps = needed.reduce(
      (sum, index) => sum + 1 + (stages[index]?.instructions.length ?? 0),
      global.length,
    );
  }

  get argumentValues() {
    return {
      given: this.request.arguments,
      global: this.#plan.globalArguments,
      automatic: this.#automatic,
    };
  }

  /** Milliseconds since the epoch; SOURCE_DATE_EPOCH holds the clock. */
  now(): number {
    return this.#epoch ?? now();
  }

  nowSeconds(): number {
    return Math.floor(this.now() / 1000);
  }

  contextTree(): TreeNode {
    return this.#files.root;
  }

  async tellStep(text: string): Promise<void> {
    this.#step++;
    await this.output.text(`Step ${this.#step}/${Math.max(this.#step, this.#steps)} : ${text}\n`);
  }

  /** Builds the target and what it needs. */
  async all(): Promise<StageState> {
    for (const each of this.#plan.global) await this.tellStep(each.text);
    for (const index of this.#plan.needed) await this.#stage(index);
    return this.#stage(this.#plan.target);
  }

  /** What a COPY --from names. A trigger may name a stage that nobody knew to be needed: it is built now. */
  async stageOrImage(word: string): Promise<StageState> {
    const stage = findStage(this.#plan.stages, word, this.#current);
    if (stage !== undefined) return this.#stage(stage.index);
    // What is no stage is an image, whose id may begin so: neither is what was meant.
    const own = word.toLowerCase() === this.#plan.stages[this.#current]?.from.name;
    if (own || /^\d+$/.test(word))
      throw new HullError("invalidParameter", {
        what: "--from",
        value: word,
        why: "name a stage before this one, or an image",
      });
    return this.session.from(await this.#image(word, ""));
  }

  #current = 0;

  async #stage(index: number): Promise<StageState> {
    const done = this.#done.get(index);
    if (done !== undefined) return done;
    const stage = this.#plan.stages[index];
    if (stage === undefined) throw new HullError("internal", { what: `there is no stage ${index}` });
    const before = this.#current;
    this.#current = index;
    await this.tellStep(stage.from.text);
    const builder = new StageBuilder(this, await this.#base(stage));
    await this.output.text(` ---> ${shortImageId(builder.state)}\n`);
    await builder.triggers();
    for (const instruction of stage.instructions) await builder.instruction(instruction);
    this.#done.set(index, builder.state);
    this.#current = before;
    return builder.state;
  }

  async #base(stage: Stage): Promise<StageState> {
    if (stage.base !== undefined) return this.#stage(stage.base);
    if (stage.image === "scratch") return this.session.scratch();
    const image = await this.#image(stage.image, stage.platform);
    if (image.artifactType !== undefined)
      throw dockerfileError(stage.from.line, `${stage.image} is no image that a build can start from`);
    return this.session.from(image);
  }

  async #imageHere(reference: string): Promise<Image | undefined> {
    try {
      return await this.context.images.resolve(reference);
    } catch (error) {
      if (isHullError(error, "noSuchImage")) return undefined;
      throw error;
    }
  }

  /** The image is here, or it is pulled. */
  async #image(reference: string, platform: string): Promise<Image> {
    const { images } = this.context;
    const wanted = parsePlatform(platform);
    if (matchPlatform(hostPlatform(), wanted) === 0)
      throw new HullError("unsupported", {
        what: `platform ${platform}`,
        where: " here",
        why: `this host builds for ${formatPlatform(hostPlatform())}`,
      });
    const here = this.request.pull ? undefined : await this.#imageHere(reference);
    if (here !== undefined) {
      const { os, architecture } = here.config;
      if (matchPlatform(wanted, { os, architecture, variant: "" }) > 0 || here.artifactType !== undefined)
        return here;
    }
    const auth = this.request.authOf(parseReference(reference).domain);
    // What is told while the pull goes on is sent in order; the pull itself never waits for the client.
    let told: Promise<void> = Promise.resolve();
    const image = await images.pull(reference, {
      platform,
      ...(auth === undefined ? {} : { auth }),
      onProgress: (event) => {
        told = told.then(() => this.output.progress(event));
      },
      signal: this.signal,
    });
    await told;
    return image;
  }
}

function epochOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (!/^\d{1,11}$/.test(text))
    throw new HullError("invalidParameter", {
      what: "SOURCE_DATE_EPOCH",
      value: text,
      why: "write seconds since 1970",
    });
  return Number(text) * 1000;
}
