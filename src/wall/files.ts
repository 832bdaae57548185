/**
 * The files of a workload, as a wall gives access to them: the part of the contract (wall.ts) that needs no
 * process of the workload.
 *
 * Every path is looked up in the workload's own root and never outside of it, whatever links there are and
 * whatever the workload does meanwhile. What the kernel mounts for a workload (/proc, /sys, /dev) is not seen; its
 * volumes and the host's directories are (`status`, `read`, `write`), and what a running one has on a tmpfs.
 *
 * Any number of calls may go on at once. A stream that is not read to its end must be returned (`break` out of
 * its loop does it). What comes from behind a wall is hostile: it has passed the checks of files/records.ts and
 * nothing more is known of it.
 *
 * Names are bytes on Linux: as in src/image/tar, a name is a string of one character per byte (latin1).
 */
import type { FileType } from "../contract/file-type.ts";

export type { FileType };

export interface Files {
  /** What is at an absolute path; of a symbolic link the link itself. Throws `noSuchFile`. */
  status(path: string): Promise<FileEntry>;
  /** The file or directory at a path, and all below it, named relative to it (itself: empty), in order. */
  read(path: string): AsyncGenerator<FilePart, void, undefined>;
  /** All that is in the root file system, without what is mounted into it. */
  readRoot(): AsyncGenerator<FilePart, void, undefined>;
  /** Puts entries below the directory at a path. Throws `noSuchFile`, `notDirectory`, `fileConflict`, `noSpace`. */
  write(path: string, parts: AsyncIterable<WritePart>, options: WriteOptions): Promise<void>;
  /** What the writable layer has: with its marks for what it takes away, in order. */
  layer(): AsyncGenerator<LayerPart, void, undefined>;
  /** The same without data, and with a whiteout for each name that an opaque directory hides. */
  changes(): AsyncGenerator<LayerEntry, void, undefined>;
}

export interface FileEntry {
  readonly type: FileType;
  readonly path: string;
  /** Of a symbolic link, or the earlier path of a hard link. `status` gives where a link leads, absolute. */
  readonly linkTarget: string;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: { readonly seconds: number; readonly nanoseconds: number };
  /** Bytes of a file, holes included; 0 for anything else. */
  readonly size: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Set for a sparse file: where its data is, in order, without overlaps. */
  readonly sparse: readonly { readonly offset: number; readonly length: number }[] | undefined;
}

/** What is written: a whiteout removes what is at its path. */
export type WritePart =
  | { readonly entry: Omit<FileEntry, "type"> & { readonly type: FileType | "whiteout" } }
  | { readonly data: Uint8Array };

/** An entry, followed by its data if it is a file's: `dataBytes(entry)` bytes in all. */
export type FilePart = { readonly entry: FileEntry } | { readonly data: Uint8Array };

export interface LayerEntry extends Omit<FileEntry, "type"> {
  /** `whiteout`: what the image has at the path is gone. */
  readonly type: FileType | "whiteout";
  /** A directory that hides all that the image has in it. */
  readonly opaque: boolean;
  /** What the image has at the path; undefined: nothing. */
  readonly below:
    | (Pick<FileEntry, "mode" | "uid" | "gid" | "mtime" | "size"> & { readonly type: FileType })
    | undefined;
}

export type LayerPart = { readonly entry: LayerEntry } | { readonly data: Uint8Array };

export interface WriteOptions {
  /** Refuses to put a directory in the place of something else, and the other way round. */
  readonly keepKind: boolean;
  /** Everything gets this owner, whatever the entries say. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/** Bytes of data that follow an entry. */
export function dataBytes(entry: Pick<FileEntry, "size" | "sparse"> & { readonly type: string }): number {
  if (entry.type !== "file") return 0;
  if (entry.sparse === undefined) return entry.size;
  return entry.sparse.reduce((sum, { length }) => sum + length, 0);
}
