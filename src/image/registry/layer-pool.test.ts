import { expect, test } from "bun:test";
import type { Digest } from "../image-store.ts";
import type { LayerRecord } from "../layer/ingest.ts";
import { LayerPool } from "./layer-pool.ts";

const digest = (n: number): Digest => `sha256:${String(n).padStart(64, "0")}`;
const record = (n: number): LayerRecord => ({
  diffId: digest(n),
  blob: digest(n),
  blobBytes: n,
  compression: "none",
  layerBytes: n,
});
const never = new AbortController().signal;

test("pulls share a layer, and one that fails for another is tried again", async () => {
  const pool = new LayerPool();
  const first = Promise.withResolvers<LayerRecord>();
  const one = pool.share(digest(1), never, () => first.promise);
  let tries = 0;
  const fetch = async (): Promise<LayerRecord> => record(++tries);
  const others = [pool.share(digest(1), never, fetch), pool.share(digest(1), never, fetch)];
  first.reject(new Error("lost"));
  await expect(one).rejects.toThrow("lost");
  expect(await Promise.all(others)).toEqual([record(1), record(1)]);
  expect(tries).toBe(1);
});

test("an aborted pull waits neither for another's layer nor for its turn", async () => {
  const pool = new LayerPool();
  const held = Promise.withResolvers<LayerRecord>();
  const holders = [1, 2, 3].map((n) => pool.share(digest(n), never, () => held.promise));
  const abort = new AbortController();
  const sharing = pool.share(digest(1), abort.signal, async () => record(9));
  const queued = pool.share(digest(4), abort.signal, async () => record(9));
  const patient = pool.share(digest(5), never, async () => record(5));
  const ends = Promise.allSettled([sharing, queued]);
  const reason = new Error("enough");
  abort.abort(reason);
  expect(await ends).toEqual([
    { status: "rejected", reason },
    { status: "rejected", reason },
  ]);
  held.resolve(record(1));
  expect(await Promise.all(holders)).toHaveLength(3);
  expect(await patient).toEqual(record(5));
  // No place was lost: three may go on at once again.
  const turns = Promise.withResolvers<void>();
  let going = 0;
  const again = [6, 7, 8].map((n) =>
    pool.share(digest(n), never, async () => {
      if (++going === 3) turns.resolve();
      await turns.promise;
      return record(n);
    }),
  );
  expect(await Promise.all(again)).toHaveLength(3);
});
