/** Entries of a workload's files as a tar. Times are whole seconds, as in the archives that Docker makes. */
import { tarEnd, tarHeader, tarPadding } from "../../contract/tar-header.ts";
import { dataBytes, type FileEntry, type FilePart } from "../../wall/files.ts";

/** Small members go out together. */
const batchBytes = 64 * 1024;

/** `nameOf` gives the name in the tar for a path; undefined: the entry is left out. */
export async function* tarOf(
  parts: AsyncIterable<FilePart>,
  nameOf: (path: string) => string | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* batched(
    (async function* () {
      let padding: Uint8Array = new Uint8Array(0);
      let left = 0;
      for await (const part of parts) {
        if ("data" in part) {
          if (left > 0) yield part.data;
          left -= part.data.length;
          if (left === 0) yield padding;
          continue;
        }
        const name = nameOf(part.entry.path);
        left = 0;
        if (name === undefined) continue;
        const { entry } = part;
        const target = entry.type === "hardlink" ? nameOf(entry.linkTarget) : entry.linkTarget;
        const head = memberHead({ ...entry, path: name, linkTarget: target ?? "" });
        left = dataBytes(entry);
        padding = tarPadding(left);
        yield head;
      }
      yield tarEnd;
    })(),
  );
}

/** The blocks in front of a member's data, which is as long as `dataBytes` says. */
export function memberHead(entry: FileEntry): Uint8Array {
  const header = {
    ...entry,
    mtimeSeconds: entry.mtime.seconds,
    major: entry.deviceMajor,
    minor: entry.deviceMinor,
  };
  if (entry.sparse === undefined) return tarHeader(header);
  // GNU tar manual, "Storing Sparse Files", version 1.0: the map comes before the data, in blocks of its own.
  const map = Buffer.from(
    [entry.sparse.length, ...entry.sparse.flatMap(({ offset, length }) => [offset, length])]
      .map((number) => `${number}\n`)
      .join(""),
  );
  const blocks = Buffer.concat([map, tarPadding(map.length)]);
  const base = entry.path.slice(entry.path.lastIndexOf("/") + 1);
  const head = tarHeader({
    ...header,
    path: `GNUSparseFile.0/${base.slice(0, 80)}`,
    size: blocks.length + dataBytes(entry),
    records: {
      "GNU.sparse.major": 1,
      "GNU.sparse.minor": 0,
      "GNU.sparse.name": entry.path,
      "GNU.sparse.realsize": entry.size,
    },
  });
  return Buffer.concat([head, blocks]);
}

async function* batched(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let batch: Uint8Array[] = [];
  let size = 0;
  for await (const bytes of source) {
    // Data is valid only until the next piece is asked for.
    batch.push(bytes.length >= batchBytes ? bytes : Buffer.from(bytes));
    size += bytes.length;
    if (size < batchBytes) continue;
    yield Buffer.concat(batch);
    batch = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(batch);
}
