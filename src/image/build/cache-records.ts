/** What steps of builds made, in the images' database: a later build that would do the same takes it instead. */
import type { Database } from "bun:sqlite";
import * as v from "valibot";
import type { Digest } from "../image-store.ts";
import type { LayerRecord } from "../layer/ingest.ts";
import { digestSchema, layersSchema } from "../layer/record-schema.ts";

export interface CachedStep {
  /** Digest of all that decides what the step makes. */
  readonly key: string;
  /** Id of the image that it made. */
  readonly id: Digest;
  /** Id of the image that it started from; empty: none. */
  readonly parent: string;
  readonly createdBy: string;
  /** The config's JSON. */
  readonly config: string;
  /** All layers of the image, bottom first. */
  readonly layers: readonly LayerRecord[];
  /** The last layer is this step's own. */
  readonly madeLayer: boolean;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly used: number;
  readonly uses: number;
}

export const buildCacheTable = `CREATE TABLE build_cache (
     key TEXT PRIMARY KEY, id TEXT NOT NULL, parent TEXT NOT NULL, created_by TEXT NOT NULL, config TEXT NOT NULL,
     layers TEXT NOT NULL, made_layer INTEGER NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL,
     uses INTEGER NOT NULL
   ) STRICT;`;

const row = v.pipe(
  v.object({
    key: v.string(),
    id: digestSchema,
    parent: v.string(),
    created_by: v.string(),
    config: v.string(),
    layers: v.string(),
    made_layer: v.number(),
    created: v.number(),
    used: v.number(),
    uses: v.number(),
  }),
  v.transform(
    ({ created_by, made_layer, layers, ...rest }): CachedStep => ({
      ...rest,
      createdBy: created_by,
      madeLayer: made_layer !== 0,
      layers: v.parse(layersSchema, JSON.parse(layers)),
    }),
  ),
);

export class BuildCacheRecords {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(key: string): CachedStep | undefined {
    const found = this.#db.query("SELECT * FROM build_cache WHERE key = ?1").get(key);
    return found === null ? undefined : v.parse(row, found);
  }

  /** Least recently used first. */
  all(): CachedStep[] {
    return v.parse(v.array(row), this.#db.query("SELECT * FROM build_cache ORDER BY used, rowid").all());
  }

  /** Of each step, without the configs, which may be large. */
  layers(): (readonly LayerRecord[])[] {
    const rows = v.parse(
      v.array(v.object({ layers: v.string() })),
      this.#db.query("SELECT DISTINCT layers FROM build_cache").all(),
    );
    return rows.map(({ layers }) => v.parse(layersSchema, JSON.parse(layers)));
  }

  /** A step that was done anew replaces what was known of it. */
  put(step: Omit<CachedStep, "created" | "used" | "uses">): void {
    this.#db
      .query("INSERT OR REPLACE INTO build_cache VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, 0)")
      .run(
        step.key,
        step.id,
        step.parent,
        step.createdBy,
        step.config,
        JSON.stringify(step.layers),
        step.madeLayer ? 1 : 0,
        Date.now(),
      );
  }

  use(key: string): void {
    this.#db.query("UPDATE build_cache SET used = ?2, uses = uses + 1 WHERE key = ?1").run(key, Date.now());
  }

  delete(key: string): void {
    this.#db.query("DELETE FROM build_cache WHERE key = ?1").run(key);
  }
}
