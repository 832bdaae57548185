/** What steps of builds made, in the images' database: a later build that would do the same takes it instead. */
import type { Database } from "bun:sqlite";
import * as v from "valibot";
import type { Digest } from "../image-store.ts";
import type { LayerRecord } from "../layer/ingest.ts";
import { digestSchema, layerSchema } from "../layer/record-schema.ts";
import { type Delta, deltaSchema } from "./json-delta.ts";

export interface CachedStep {
  /** Digest of all that decides what the step makes. */
  readonly key: string;
  /** Id of the image that it made. */
  readonly id: Digest;
  /** Id of the image that it started from; empty: none. */
  readonly parent: string;
  readonly createdBy: string;
  /** What its config has that the parent's has not; undefined: nothing. */
  readonly delta: Delta | undefined;
  /** The layer that the step made, if it made any. */
  readonly layer: LayerRecord | undefined;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly used: number;
  readonly uses: number;
}

/** The first form of the table, which had the whole config and all layers with each step. */
export const buildCacheTable = `CREATE TABLE build_cache (
     key TEXT PRIMARY KEY, id TEXT NOT NULL, parent TEXT NOT NULL, created_by TEXT NOT NULL, config TEXT NOT NULL,
     layers TEXT NOT NULL, made_layer INTEGER NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL,
     uses INTEGER NOT NULL
   ) STRICT;`;

/** What was cached before is made anew. */
export const buildCacheDeltas = `DROP TABLE build_cache;
   CREATE TABLE build_cache (
     key TEXT PRIMARY KEY, id TEXT NOT NULL, parent TEXT NOT NULL, created_by TEXT NOT NULL, delta TEXT NOT NULL,
     layer TEXT NOT NULL, diff_id TEXT NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL, uses INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX build_cache_diff_id ON build_cache (diff_id);`;

const row = v.pipe(
  v.object({
    key: v.string(),
    id: digestSchema,
    parent: v.string(),
    created_by: v.string(),
    delta: v.string(),
    layer: v.string(),
    created: v.number(),
    used: v.number(),
    uses: v.number(),
  }),
  v.transform(
    ({ created_by, layer, delta, ...rest }): CachedStep => ({
      ...rest,
      createdBy: created_by,
      delta: delta === "" ? undefined : v.parse(deltaSchema, JSON.parse(delta)),
      layer: layer === "" ? undefined : v.parse(layerSchema, JSON.parse(layer)),
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

  /** Of each step that made one. */
  layers(): LayerRecord[] {
    const rows = v.parse(
      v.array(v.object({ layer: v.string() })),
      this.#db.query("SELECT DISTINCT layer FROM build_cache WHERE layer != ''").all(),
    );
    return rows.map(({ layer }) => v.parse(layerSchema, JSON.parse(layer)));
  }

  /** A step that was done anew replaces what was known of it. */
  put(step: Omit<CachedStep, "created" | "used" | "uses">): void {
    const { key, id, parent, createdBy, delta, layer } = step;
    this.#db
      .query("INSERT OR REPLACE INTO build_cache VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, 0)")
      .run(
        key,
        id,
        parent,
        createdBy,
        delta === undefined ? "" : JSON.stringify(delta),
        layer === undefined ? "" : JSON.stringify(layer),
        layer?.diffId ?? "",
        Date.now(),
      );
  }

  /** The layer is kept in another blob from now on. */
  replaceLayer(layer: LayerRecord): void {
    this.#db
      .query("UPDATE build_cache SET layer = ?2 WHERE diff_id = ?1")
      .run(layer.diffId, JSON.stringify(layer));
  }

  use(key: string): void {
    this.#db.query("UPDATE build_cache SET used = ?2, uses = uses + 1 WHERE key = ?1").run(key, Date.now());
  }

  delete(key: string): void {
    this.#db.query("DELETE FROM build_cache WHERE key = ?1").run(key);
  }
}
