/**
 * `--cache-from`: a step counts as done when an image that is here has done it, told by its history. Only images that
 * start with exactly the layers and the history so far can say so.
 */
import type { BuildSession, StageState } from "../../image/build/build-store.ts";
import type { StageConfig } from "../../image/build/stage-config.ts";

interface HistoryLine {
  readonly created: string;
  readonly createdBy: string;
  readonly empty: boolean;
}

export class CacheFrom {
  readonly #session: BuildSession;
  readonly #images: readonly StageState[];

  constructor(session: BuildSession, images: readonly StageState[]) {
    this.#session = session;
    this.#images = images;
  }

  /** The state after a step that one of the images did, too; undefined when none did. */
  find(parent: StageState, createdBy: string, config: StageConfig): StageState | undefined {
    const before = linesOf(parent.config);
    for (const image of this.#images) {
      const lines = linesOf(image.config);
      const line = lines[before.length];
      if (line === undefined || line.createdBy !== createdBy) continue;
      const sameStart = before.every((each, index) => same(each, lines[index]));
      const sameLayers = parent.layers.every(({ diffId }, index) => image.layers[index]?.diffId === diffId);
      const layer = line.empty ? undefined : image.layers[parent.layers.length];
      if (!sameStart || !sameLayers || (!line.empty && layer === undefined)) continue;
      const entry = image.config.history[before.length];
      const history = [...parent.config.history, ...(entry === undefined ? [] : [entry])];
      return this.#session.next(parent, { ...config, history }, line.created, layer);
    }
    return undefined;
  }
}

function linesOf(config: StageConfig): HistoryLine[] {
  return config.history.map((entry) => ({
    created: typeof entry.created === "string" ? entry.created : "",
    createdBy: typeof entry.created_by === "string" ? entry.created_by : "",
    empty: entry.empty_layer === true,
  }));
}

function same(one: HistoryLine, other: HistoryLine | undefined): boolean {
  return one.createdBy === other?.createdBy && one.empty === other.empty && one.created === other.created;
}
