/** Databases of earlier versions: what they hold is taken over, but for what is only a cache. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildCacheTable } from "./build/cache-records.ts";
import { digestOf } from "./content/content-store.ts";
import { openImageStore } from "./store.ts";
import { failure } from "./testing/fake-registry.ts";
import { contentOf, importOptions, smallTar, streamOf, tarFile } from "./testing/store.ts";
import { tempDirectory } from "./testing/temp.ts";

/** From each version of the tables back to the one before. */
const wayBack: readonly { readonly from: number; readonly sql: string }[] = [
  { from: 4, sql: `DROP TABLE build_cache; ${buildCacheTable}` },
  { from: 3, sql: "DROP TABLE build_cache" },
  {
    from: 2,
    sql: `ALTER TABLE images DROP COLUMN artifact; ALTER TABLE images DROP COLUMN artifactBytes;
          ALTER TABLE tags DROP COLUMN target; DROP TABLE wholes`,
  },
];

/** Makes a store's database what it was at an earlier version. */
function turnBack(root: string, version: number): void {
  using db = new Database(join(root, "images.db"), { strict: true });
  for (const { from, sql } of wayBack) if (from > version) db.run(sql);
  db.run(`PRAGMA user_version = ${version}`);
}

for (const version of [1, 2, 3])
  test(`images of a database of version ${version} are there, and builds are cached`, async () => {
    await using temp = await tempDirectory();
    const root = join(temp.path, "root");
    const before = await openImageStore(root);
    const reference = "kept:1";
    const { id } = await before.importTar(streamOf(smallTar(tarFile("f", "kept"))), {
      ...importOptions,
      reference,
    });
    await before.close();
    const content = await contentOf(root);
    turnBack(root, version);

    const store = await openImageStore(root);
    expect(await store.resolve(reference)).toMatchObject({ id, references: [reference] });
    expect(await contentOf(root)).toEqual(content);
    expect(await store.builds.usage()).toEqual([]);
    await store.builds.run(async (session) => {
      const scratch = session.scratch();
      session.keep(
        { key: "step", createdBy: "step" },
        scratch,
        session.next(scratch, scratch.config, "2026-01-01T00:00:00Z", undefined),
      );
    });
    expect((await store.builds.usage()).map(({ step: { key } }) => key)).toEqual(["step"]);
    await store.close();
  });

test("what only an earlier version's build cache had is gone from the disk, too", async () => {
  await using temp = await tempDirectory();
  const root = join(temp.path, "root");
  const before = await openImageStore(root);
  await before.importTar(streamOf(smallTar(tarFile("f", "kept"))), importOptions);
  await before.close();
  const kept = await contentOf(root);
  turnBack(root, 3);
  const bytes = Buffer.from("only the cache's");
  const digest = digestOf(bytes);
  await writeFile(join(root, "content/blobs/sha256", digest.slice(7)), bytes);
  await writeFile(join(root, "layers", `${digest.slice(7)}.erofs`), bytes);
  const layer = {
    diffId: digest,
    blob: digest,
    blobBytes: bytes.length,
    compression: "none",
    layerBytes: bytes.length,
  };
  {
    using db = new Database(join(root, "images.db"), { strict: true });
    db.query("INSERT INTO build_cache VALUES ('key', ?1, '', 'RUN x', '{}', ?2, 1, 1, 1, 1)").run(
      digest,
      JSON.stringify([layer]),
    );
  }
  const store = await openImageStore(root);
  expect(await store.builds.usage()).toEqual([]);
  expect(await contentOf(root)).toEqual(kept);
  await store.close();
});

test("a database of a later version is refused, and nothing is taken away", async () => {
  await using temp = await tempDirectory();
  const root = join(temp.path, "root");
  const store = await openImageStore(root);
  await store.importTar(streamOf(smallTar(tarFile("f", "kept"))), importOptions);
  await store.close();
  const content = await contentOf(root);
  turnBack(root, 1000);
  expect(String(await failure(openImageStore(root)))).toContain("was written by a newer hull: use that one");
  expect(await contentOf(root)).toEqual(content);
  expect(await readdir(root)).toContain("images.db");
});
