/** What the store knows about images: a database beside the content. */
import { Database, SQLiteError } from "bun:sqlite";
import * as v from "valibot";
import { HullError, messageOf } from "../contract/errors.ts";
import { BuildCacheRecords, buildCacheDeltas, buildCacheTable } from "./build/cache-records.ts";
import { isDigest } from "./content/content-store.ts";
import type { Digest } from "./image-store.ts";
import type { LayerRecord } from "./layer/ingest.ts";
import { digestSchema as digest, layersSchema } from "./layer/record-schema.ts";

export interface ImageRecord {
  readonly id: Digest;
  /** The manifest of this platform's image. */
  readonly manifest: Digest;
  /** The config's JSON. */
  readonly config: string;
  readonly layers: readonly LayerRecord[];
  /** What it is when it is no container image: kept to be pushed and saved. Its id is its manifest's digest. */
  readonly artifact: ArtifactRecord | undefined;
  /** Removed by name, but its layers are leased: it is in no list and resolves to nothing. */
  readonly hidden: boolean;
}

export interface ArtifactRecord {
  /** A media type. */
  readonly type: string;
  /** Of all that it consists of. */
  readonly bytes: number;
}

/** `canonical` is `docker.io/library/alpine`. */
export interface NamedReference {
  readonly canonical: string;
  readonly tag: string;
}

export interface NamedDigest {
  readonly canonical: string;
  readonly digest: Digest;
}

const imageRow = v.pipe(
  v.object({
    id: digest,
    manifest: digest,
    config: v.string(),
    layers: v.string(),
    hidden: v.number(),
    artifact: v.string(),
    artifactBytes: v.number(),
  }),
  v.transform(({ artifactBytes, ...row }) => ({
    ...row,
    hidden: row.hidden !== 0,
    layers: v.parse(layersSchema, JSON.parse(row.layers)),
    artifact: row.artifact === "" ? undefined : { type: row.artifact, bytes: artifactBytes },
  })),
);
const targetRow = v.object({ target: v.string() });
const wholeRow = v.pipe(
  v.object({ parts: v.string() }),
  v.transform((row) => v.parse(v.array(digest), JSON.parse(row.parts))),
);
const referenceRow = v.object({ canonical: v.string(), tag: v.string() });
const digestRow = v.object({ canonical: v.string(), digest });
const imageIdRow = v.object({ image: digest });

/** Each step takes the database from one version of the tables to the next; `user_version` counts them. */
const migrations = [
  `CREATE TABLE images (
     id TEXT PRIMARY KEY, manifest TEXT NOT NULL, config TEXT NOT NULL, layers TEXT NOT NULL,
     hidden INTEGER NOT NULL DEFAULT 0, added INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE tags (
     canonical TEXT NOT NULL, tag TEXT NOT NULL, image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
     PRIMARY KEY (canonical, tag)
   ) STRICT;
   CREATE TABLE digests (
     canonical TEXT NOT NULL, digest TEXT NOT NULL, image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
     PRIMARY KEY (canonical, digest)
   ) STRICT;
   CREATE INDEX tags_image ON tags (image);
   CREATE INDEX digests_image ON digests (image);`,
  // A tag's target is the index or manifest that it was pulled as. A whole is a manifest or an index all of whose
  // parts are kept; it goes when nothing names it any more.
  `ALTER TABLE images ADD COLUMN artifact TEXT NOT NULL DEFAULT '';
   ALTER TABLE images ADD COLUMN artifactBytes INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE tags ADD COLUMN target TEXT NOT NULL DEFAULT '';
   CREATE TABLE wholes (digest TEXT PRIMARY KEY, parts TEXT NOT NULL) STRICT;`,
  buildCacheTable,
  buildCacheDeltas,
];

export class ImageRecords implements Disposable {
  readonly #db: Database;
  readonly buildCache: BuildCacheRecords;

  constructor(path: string) {
    try {
      this.#db = new Database(path, { create: true, strict: true });
      this.#db.run("PRAGMA journal_mode = WAL");
      this.#db.run("PRAGMA synchronous = FULL");
      this.#db.run("PRAGMA foreign_keys = ON");
      this.#migrate(path);
    } catch (error) {
      if (error instanceof HullError) throw error;
      throw new HullError("internal", { what: `cannot open ${path}: ${messageOf(error)}` }, { cause: error });
    }
    this.buildCache = new BuildCacheRecords(this.#db);
  }

  #migrate(path: string): void {
    const { user_version: version } = v.parse(
      v.object({ user_version: v.number() }),
      this.#db.query("PRAGMA user_version").get(),
    );
    if (version > migrations.length)
      throw new HullError("internal", { what: `${path} was written by a newer hull: use that one` });
    for (const [index, step] of migrations.entries()) {
      if (index < version) continue;
      this.#db.transaction(() => {
        this.#db.run(step);
        this.#db.run(`PRAGMA user_version = ${index + 1}`);
      })();
    }
  }

  /** All or nothing. */
  transaction<T>(work: () => T): T {
    try {
      return this.#db.transaction(work)();
    } catch (error) {
      if (error instanceof SQLiteError && error.code === "SQLITE_FULL")
        throw new HullError(
          "noSpace",
          { what: "the records of images", path: this.#db.filename },
          { cause: error },
        );
      throw error;
    }
  }

  /** Adds an image, or shows a hidden one again. */
  put(image: Omit<ImageRecord, "hidden" | "artifact"> & { readonly artifact?: ArtifactRecord }): void {
    const { id, manifest, config, layers, artifact } = image;
    this.#db
      .query(
        `INSERT INTO images (id, manifest, config, layers, added, artifact, artifactBytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET hidden = 0, manifest = ?2, layers = ?4`,
      )
      .run(
        id,
        manifest,
        config,
        JSON.stringify(layers),
        Date.now(),
        artifact?.type ?? "",
        artifact?.bytes ?? 0,
      );
  }

  /** An image's layers are kept in other blobs from now on, unless it was removed or changed meanwhile. */
  replaceParts(image: ImageRecord, parts: Pick<ImageRecord, "manifest" | "layers">): void {
    this.transaction(() => {
      this.#db
        .query("UPDATE images SET manifest = ?3, layers = ?4 WHERE id = ?1 AND manifest = ?2")
        .run(image.id, image.manifest, parts.manifest, JSON.stringify(parts.layers));
      for (const layer of parts.layers) this.buildCache.replaceLayer(layer);
    });
  }

  /** All parts of a manifest or index are kept as long as a tag or a digest names it. */
  keepWhole(top: Digest, parts: readonly Digest[]): void {
    this.#db
      .query("INSERT INTO wholes (digest, parts) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET parts = ?2")
      .run(top, JSON.stringify(parts));
  }

  /** The parts of a manifest or index that is kept whole; undefined when it is not. */
  partsOf(top: Digest): readonly Digest[] | undefined {
    const row = this.#db.query("SELECT parts FROM wholes WHERE digest = ?1").get(top);
    return row === null ? undefined : v.parse(wholeRow, row);
  }

  /** Forgets wholes that nothing names any more. */
  forgetWholes(): void {
    this.#db.run(
      `DELETE FROM wholes WHERE digest NOT IN (SELECT target FROM tags) AND digest NOT IN
         (SELECT digest FROM digests) AND digest NOT IN (SELECT id FROM images)`,
    );
  }

  /** The index or manifest that a tag was pulled as; undefined when it was not pulled. */
  targetOf(reference: NamedReference): Digest | undefined {
    const row = this.#db
      .query("SELECT target FROM tags WHERE canonical = ?1 AND tag = ?2")
      .get(reference.canonical, reference.tag);
    if (row === null) return undefined;
    const { target } = v.parse(targetRow, row);
    return isDigest(target) ? target : undefined;
  }

  /** All tags of a repository. */
  tagsIn(canonical: string): string[] {
    const rows = this.#db
      .query("SELECT canonical, tag FROM tags WHERE canonical = ?1 ORDER BY tag")
      .all(canonical);
    return v.parse(v.array(referenceRow), rows).map((row) => row.tag);
  }

  hide(id: Digest): void {
    this.#db.query("UPDATE images SET hidden = 1 WHERE id = ?1").run(id);
  }

  delete(id: Digest): void {
    this.#db.query("DELETE FROM images WHERE id = ?1").run(id);
  }

  get(id: Digest): ImageRecord | undefined {
    const row = this.#db.query("SELECT * FROM images WHERE id = ?1").get(id);
    return row === null ? undefined : v.parse(imageRow, row);
  }

  /** Newest first. */
  all(): ImageRecord[] {
    return v.parse(v.array(imageRow), this.#db.query("SELECT * FROM images ORDER BY added DESC, id").all());
  }

  /** Ids that start with `prefix` (hexadecimal digits), two at most. */
  idsWithPrefix(prefix: string): Digest[] {
    const rows = this.#db
      .query("SELECT id AS image FROM images WHERE hidden = 0 AND substr(id, 8, ?2) = ?1 LIMIT 2")
      .all(prefix, prefix.length);
    return v.parse(v.array(imageIdRow), rows).map((row) => row.image);
  }

  byTag(reference: NamedReference): Digest | undefined {
    const row = this.#db
      .query("SELECT image FROM tags WHERE canonical = ?1 AND tag = ?2")
      .get(reference.canonical, reference.tag);
    return row === null ? undefined : v.parse(imageIdRow, row).image;
  }

  byDigest(named: NamedDigest): Digest | undefined {
    const row = this.#db
      .query("SELECT image FROM digests WHERE canonical = ?1 AND digest = ?2")
      .get(named.canonical, named.digest);
    return row === null ? undefined : v.parse(imageIdRow, row).image;
  }

  tagsOf(id: Digest): NamedReference[] {
    const rows = this.#db
      .query("SELECT canonical, tag FROM tags WHERE image = ?1 ORDER BY canonical, tag")
      .all(id);
    return v.parse(v.array(referenceRow), rows);
  }

  digestsOf(id: Digest): NamedDigest[] {
    const rows = this.#db
      .query("SELECT canonical, digest FROM digests WHERE image = ?1 ORDER BY canonical, digest")
      .all(id);
    return v.parse(v.array(digestRow), rows);
  }

  /** A reference that another image had moves. `target`: the index or manifest it was pulled as. */
  setTag(reference: NamedReference, id: Digest, target?: Digest): void {
    this.#db
      .query(
        `INSERT INTO tags (canonical, tag, image, target) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET image = ?3, target = ?4`,
      )
      .run(reference.canonical, reference.tag, id, target ?? "");
  }

  setDigest(named: NamedDigest, id: Digest): void {
    this.#db
      .query(
        "INSERT INTO digests (canonical, digest, image) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET image = ?3",
      )
      .run(named.canonical, named.digest, id);
  }

  dropTag(reference: NamedReference): void {
    this.#db
      .query("DELETE FROM tags WHERE canonical = ?1 AND tag = ?2")
      .run(reference.canonical, reference.tag);
  }

  dropDigest(named: NamedDigest): void {
    this.#db
      .query("DELETE FROM digests WHERE canonical = ?1 AND digest = ?2")
      .run(named.canonical, named.digest);
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}
