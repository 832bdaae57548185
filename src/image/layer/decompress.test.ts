/** Compressed data of many members, wherever the pieces in which it comes end. */
import { expect, test } from "bun:test";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { ContentStore, digestOf } from "../content/content-store.ts";
import { file, rawTar } from "../testing/raw-tar.ts";
import { tempDirectory } from "../testing/temp.ts";
import { decompress } from "./decompress.ts";
import { ingestLayer } from "./ingest.ts";

/**
 * A lazily pulled layer (eStargz): each file is a member of its own, and an empty member at the end tells where the table of
 * contents is, in an extra field. Source: containerd/stargz-snapshotter, docs/estargz.md, "Footer".
 */
function estargz(tar: Buffer): { blob: Buffer; ends: number[] } {
  const offset = Buffer.from("0000000000000400STARGZ");
  const footer = Buffer.concat([
    Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, 0x53, 0x47, 22, 0]),
    offset,
    Buffer.from([1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]),
  ]);
  const members = [tar.subarray(0, 1024), tar.subarray(1024, 1536), tar.subarray(1536)].map((part) =>
    gzipSync(part),
  );
  const pieces = [...members, footer];
  const ends = pieces.map((_, index) => Buffer.concat(pieces.slice(0, index + 1)).length);
  return { blob: Buffer.concat(pieces), ends };
}

const tar = rawTar(file("first", "one"), file("second", "two"), file("stargz.index.json", '{"version":1}'));
const { blob, ends } = estargz(tar);

async function* inPieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    yield bytes.subarray(at, cut);
    at = cut;
  }
}

const everywhere = (bytes: Uint8Array) => Array.from({ length: bytes.length - 1 }, (_, index) => index + 1);

test.each(["own", "another"] as const)("members are read to the last one, in %s thread", async (thread) => {
  expect(gunzipSync(blob).equals(tar)).toBe(true);
  const twoFrames = Buffer.concat([
    zstdCompressSync(tar.subarray(0, 700)),
    zstdCompressSync(tar.subarray(700)),
  ]);
  const cases: readonly (readonly [Buffer, readonly number[]])[] = [
    [blob, []],
    [blob, ends.slice(0, -1)],
    [blob, ends.flatMap((end) => [end - 4, end - 1, end + 1]).filter((cut) => cut < blob.length)],
    [blob, everywhere(blob)],
    [twoFrames, []],
    [twoFrames, everywhere(twoFrames)],
  ];
  for (const [bytes, cuts] of cases) {
    const { stream } = await decompress("the layer", inPieces(bytes, cuts), thread);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(Buffer.from(chunk));
    expect(Buffer.concat(chunks).equals(tar)).toBe(true);
  }
});

test("a layer that others pull lazily is one like any other, and its blob stays as it is", async () => {
  await using temp = await tempDirectory();
  const content = await ContentStore.open(temp.path);
  const layer = await ingestLayer(content, inPieces(blob, ends.slice(0, -1)), {
    what: "the layer",
    expectedBlob: digestOf(blob),
    expectedDiffId: digestOf(tar),
  });
  expect(layer).toMatchObject({ blob: digestOf(blob), diffId: digestOf(tar), compression: "gzip" });
  expect((await content.readBlob(layer.blob)).equals(blob)).toBe(true);
});
