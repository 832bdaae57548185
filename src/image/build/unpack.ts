/** ADD of a local archive: its members go into the layer one by one, and nowhere else. */
import { HullError, isHullError } from "../../contract/errors.ts";
import { tarPadding } from "../../contract/tar-header.ts";
import { decompress } from "../layer/decompress.ts";
import type { TarEntry } from "../tar/entry.ts";
import { TarParser } from "../tar/parser.ts";
import type { LayerWriter } from "./layer-writer.ts";
import { resolvePath, type TreeNode, textOf } from "./tree/node.ts";

const blockSize = 512;

/** Whether a file is a tar, plain or compressed by what layers may be compressed by. */
export async function isArchive(node: TreeNode): Promise<boolean> {
  if (node.kind !== "file" || node.size === 0) return false;
  try {
    const { stream } = await decompress("it", node.content());
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of stream) {
      parts.push(Uint8Array.from(chunk.subarray(0, blockSize)));
      length += chunk.length;
      if (length >= blockSize) break;
    }
    return isHeader(Buffer.concat(parts).subarray(0, blockSize));
  } catch (error) {
    if (isHullError(error, "corrupt")) return false;
    throw error;
  }
}

/** The checksum of a header counts its own field as blanks. */
function isHeader(block: Buffer): boolean {
  if (block.length < blockSize) return false;
  const stored = Number.parseInt(
    block
      .toString("latin1", 148, 156)
      .replace(/[\0 ].*$/s, "")
      .trim() || "x",
    8,
  );
  const blank = Buffer.from(block).fill(32, 148, 156);
  return stored === blank.reduce((sum, byte) => sum + byte, 0);
}

/** The bytes of an archive's members below the directory `base` of `image`. */
export async function* unpack(
  node: TreeNode,
  base: readonly string[],
  image: TreeNode,
  writer: LayerWriter,
  what: string,
): AsyncGenerator<Uint8Array> {
  let pieces: Uint8Array[] = [];
  let size = 0;
  let done = 0;
  const zerosTo = (offset: number): void => {
    while (done < offset) {
      const length = Math.min(blockSize * 128, offset - done);
      pieces.push(new Uint8Array(length));
      done += length;
    }
  };
  const parser = new TarParser(what, {
    entry(entry) {
      const parts = placeOf(entry, entry.path, base, image, what);
      if (parts.length === 0) return;
      size = entry.type === "file" ? entry.size : 0;
      done = 0;
      if (entry.sparse !== undefined)
        throw new HullError("unsupported", {
          what: "a sparse member",
          where: ` in ${what}`,
          why: "pack it plainly",
        });
      const linkTarget =
        entry.type === "hardlink"
          ? placeOf(entry, entry.linkTarget, base, image, what).join("/")
          : entry.linkTarget;
      pieces.push(
        ...writer.member(
          {
            path: "",
            type: entry.type,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtimeSeconds: entry.mtime.seconds,
            size,
            linkTarget,
            major: entry.deviceMajor,
            minor: entry.deviceMinor,
            xattrs: entry.xattrs,
          },
          parts,
        ),
      );
    },
    data(bytes, offset) {
      zerosTo(offset);
      pieces.push(bytes);
      done += bytes.length;
    },
    entryEnd() {
      zerosTo(size);
      pieces.push(tarPadding(size));
      size = 0;
    },
  });
  yield* writer.directory(base);
  const { stream } = await decompress(what, node.content());
  for await (const chunk of stream) {
    parser.push(chunk);
    yield* pieces;
    pieces = [];
  }
  parser.end();
}

/** Directories that the image has under a link's name are found through the link, as when unpacking in its root. */
function placeOf(
  entry: TarEntry,
  path: string,
  base: readonly string[],
  image: TreeNode,
  what: string,
): readonly string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes(".."))
    throw new HullError("corrupt", {
      what,
      why: `the member ${JSON.stringify(textOf(path))} at byte ${entry.offset} has a ".." in it`,
    });
  const last = parts.at(-1);
  if (last === undefined) {
    // What is put at the place of the directory itself: nothing that an archive could mean.
    if (entry.type !== "directory" || path !== entry.path)
      throw new HullError("corrupt", {
        what,
        why: `the member ${JSON.stringify(textOf(path))} at byte ${entry.offset} is no directory and has no name`,
      });
    return [];
  }
  const whole = [...base, ...parts].join("/");
  const through = resolvePath(image, whole);
  if (entry.type === "directory" && through.node?.kind === "directory") return through.path;
  return [...resolvePath(image, [...base, ...parts.slice(0, -1)].join("/")).path, last];
}
