/** A client's tar, plain or compressed, as entries to be written below a directory. */
import { posix } from "node:path";
import { HullError } from "../../contract/errors.ts";
import { decompress } from "../../image/layer/decompress.ts";
import { TarParser } from "../../image/tar/parser.ts";
import type { FileEntry, FilePart } from "../../wall/files.ts";

const what = "the archive";

export async function* entriesOf(tar: AsyncIterable<Uint8Array>): AsyncGenerator<FilePart, void, undefined> {
  const parts: FilePart[] = [];
  let wanted = false;
  const parser = new TarParser(what, {
    entry({ offset: _, ...entry }) {
      const path = pathBelow(entry.path);
      // The directory that everything is put into stays as it is.
      wanted = path !== "";
      if (!wanted) return;
      const linkTarget = entry.type === "hardlink" ? pathBelow(entry.linkTarget) : entry.linkTarget;
      parts.push({ entry: { ...entry, path, linkTarget } satisfies FileEntry });
    },
    data(bytes) {
      if (wanted) parts.push({ data: Buffer.from(bytes) });
    },
    entryEnd() {},
  });
  const { stream } = await decompress(what, tar);
  for await (const chunk of stream) {
    parser.push(chunk);
    yield* parts.splice(0);
  }
  parser.end();
}

/** Empty for the directory itself. */
function pathBelow(name: string): string {
  const path = posix.normalize(`./${name}`).replace(/\/+$/, "");
  if (path === ".." || path.startsWith("../"))
    throw new HullError("invalidParameter", {
      what: "archive member",
      value: JSON.stringify(Buffer.from(name, "latin1").toString("utf8")),
      why: "it leads out of the directory that the archive is put into",
    });
  return path === "." ? "" : path;
}
