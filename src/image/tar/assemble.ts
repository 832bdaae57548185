/** Puts a member together from its header block and the extension headers that came before it. */
import type { FileType } from "../../contract/file-type.ts";
import type { SparseSegment, TarEntry } from "./entry.ts";
import { type RawHeader, TarFormatError } from "./header.ts";
import { tarLimits } from "./limits.ts";
import { type PaxRecords, paxId, paxName, paxSize, paxSparseMap, paxTime, paxXattrs } from "./pax.ts";

export interface Extensions {
  readonly global: PaxRecords | undefined;
  readonly local: PaxRecords | undefined;
  /** GNU's L and K headers. */
  readonly longName: string | undefined;
  readonly longLink: string | undefined;
}

export interface Assembled {
  readonly entry: Omit<TarEntry, "sparse">;
  /** Bytes that follow the header in the archive, padding not counted. */
  readonly storedSize: number;
  /** `in-data`: GNU.sparse 1.0, whose map comes first in the data. */
  readonly sparse: readonly SparseSegment[] | "in-data" | undefined;
}

const noRecords: PaxRecords = { values: new Map(), sparse: [] };

export function assemble(raw: RawHeader, extensions: Extensions, offset: number): Assembled {
  const local = extensions.local ?? noRecords;
  const values = mergeRecords(extensions.global, local);
  const path = name(values, "path") ?? extensions.longName ?? raw.name;
  const type = typeOf(raw.typeFlag, path);
  const storedSize = size(values, "size") ?? raw.size;
  const sparse = type === "file" ? sparseOf(raw, values, local) : undefined;
  const realSize =
    size(values, "GNU.sparse.realsize") ??
    size(values, "GNU.sparse.size") ??
    raw.gnuSparse?.realSize ??
    storedSize;
  const entry = {
    type,
    path: checkPath((sparse && name(values, "GNU.sparse.name")) ?? path, "name"),
    linkTarget: checkPath(name(values, "linkpath") ?? extensions.longLink ?? raw.linkName, "link target"),
    mode: raw.mode & 0o7777,
    uid: checkId(id(values, "uid") ?? raw.uid, "owner"),
    gid: checkId(id(values, "gid") ?? raw.gid, "group"),
    mtime: time(values, "mtime") ?? raw.mtime,
    size: sparse === undefined ? storedSize : realSize,
    deviceMajor: raw.deviceMajor,
    deviceMinor: raw.deviceMinor,
    xattrs: paxXattrs(values),
    offset,
  };
  // Only files have data; what other types say about their size is history (old tars gave a hard link its file's).
  return type === "file"
    ? { entry, storedSize, sparse }
    : { entry: { ...entry, size: 0 }, storedSize: 0, sparse: undefined };
}

function typeOf(flag: string, path: string): FileType {
  switch (flag) {
    case "\0":
    case "0":
      // v7 had no directories: a trailing slash says it.
      return path.endsWith("/") ? "directory" : "file";
    case "7":
    case "S":
      return "file";
    case "1":
      return "hardlink";
    case "2":
      return "symlink";
    case "3":
      return "character-device";
    case "4":
      return "block-device";
    case "5":
      return "directory";
    case "6":
      return "fifo";
    default:
      throw new TarFormatError(`its type ${JSON.stringify(flag)} is not known`);
  }
}

function sparseOf(
  raw: RawHeader,
  values: ReadonlyMap<string, Uint8Array>,
  local: PaxRecords,
): readonly SparseSegment[] | "in-data" | undefined {
  if (raw.gnuSparse !== undefined) return raw.gnuSparse.segments;
  const major = size(values, "GNU.sparse.major");
  if (major === 1) {
    if (size(values, "GNU.sparse.minor") !== 0) throw new TarFormatError("its sparse format is not known");
    return "in-data";
  }
  if (major !== undefined && major !== 0) throw new TarFormatError("its sparse format is not known");
  const map = values.get("GNU.sparse.map");
  if (map !== undefined) return paxSparseMap(map);
  if (values.has("GNU.sparse.size")) return local.sparse;
  return undefined;
}

/** A file's own records win; an empty value of its own undoes a global one. */
function mergeRecords(global: PaxRecords | undefined, local: PaxRecords): ReadonlyMap<string, Uint8Array> {
  if (global === undefined) return local.values;
  return new Map([...global.values, ...local.values]);
}

function checkPath(path: string, what: string): string {
  if (path.length > tarLimits.pathBytes)
    throw new TarFormatError(
      `its ${what} has ${path.length} bytes, over the limit of ${tarLimits.pathBytes}`,
    );
  return path;
}

/** Negative ids are those of systems where `nobody` was -2. */
function checkId(value: number, what: string): number {
  if (value < -0x8000_0000 || value > 0xffff_ffff)
    throw new TarFormatError(`its ${what} is not a 32-bit number`);
  return value >>> 0;
}

function present(values: ReadonlyMap<string, Uint8Array>, key: string): Uint8Array | undefined {
  const value = values.get(key);
  return value !== undefined && value.length > 0 ? value : undefined;
}

function name(values: ReadonlyMap<string, Uint8Array>, key: string): string | undefined {
  const value = present(values, key);
  return value && paxName(value, key);
}

function size(values: ReadonlyMap<string, Uint8Array>, key: string): number | undefined {
  const value = present(values, key);
  return value && paxSize(value, key);
}

function id(values: ReadonlyMap<string, Uint8Array>, key: string): number | undefined {
  const value = present(values, key);
  return value && paxId(value, key);
}

function time(values: ReadonlyMap<string, Uint8Array>, key: string) {
  const value = present(values, key);
  return value && paxTime(value, key);
}
