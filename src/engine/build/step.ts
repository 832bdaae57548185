/** What the steps of a build see of the build and of their stage, and what they plan. */
import type { BuildSession, StageState } from "../../image/build/build-store.ts";
import type { StageConfig } from "../../image/build/stage-config.ts";
import type { TreeNode } from "../../image/build/tree/node.ts";
import type { EngineContext } from "../context.ts";
import type { CacheFrom } from "./cache-from.ts";
import type { StepScope } from "./config-step.ts";
import type { BuildOutput, BuildRequest } from "./request.ts";

export interface RunView {
  readonly context: EngineContext;
  readonly session: BuildSession;
  readonly request: BuildRequest;
  readonly output: BuildOutput;
  readonly signal: AbortSignal;
  readonly escapeToken: string;
  readonly cacheFrom: CacheFrom | undefined;
  /** Names of arguments that an ARG was seen of. */
  readonly declared: Set<string>;
  readonly argumentValues: {
    readonly given: ReadonlyMap<string, string | undefined>;
    readonly global: ReadonlyMap<string, string | undefined>;
    readonly automatic: ReadonlyMap<string, string>;
  };
  /** Milliseconds since the epoch; SOURCE_DATE_EPOCH holds the clock. */
  now(): number;
  nowSeconds(): number;
  contextTree(): TreeNode;
  tellStep(text: string): Promise<void>;
  /** What a COPY --from names. */
  stageOrImage(word: string): Promise<StageState>;
}

export interface StageView {
  readonly run: RunView;
  readonly state: StageState;
  readonly scope: StepScope;
}

/** What a step is going to do, known before it does it. */
export interface PlannedStep {
  /** The instruction as the history tells it, and part of what the cache knows it by. */
  readonly createdBy: string;
  readonly key?: readonly string[];
  readonly config: StageConfig;
  /** The layer that it adds, if it adds any. Called when the cache does not have it. */
  readonly layer?: () => Promise<AsyncIterable<Uint8Array> | undefined>;
}
