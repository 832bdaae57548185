/**
 * One member of an archive, all extension headers applied.
 *
 * Names are bytes on Linux, not text: every name is a string of one character per byte (latin1), so that names
 * which are not UTF-8 survive. `Buffer.from(name, "latin1")` gives the bytes back.
 */

import type { FileType } from "../../contract/file-type.ts";

export interface TarEntry {
  readonly type: FileType;
  readonly path: string;
  /** Of a symlink or a hard link. */
  readonly linkTarget: string;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  /** Bytes of the file as unpacked, holes included. */
  readonly size: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Full names (`security.capability`) to raw values. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Set for a sparse file: where its data is; everything else reads as zeros. In order, without overlaps. */
  readonly sparse: readonly SparseSegment[] | undefined;
  /** Where its header starts in the archive, for messages. */
  readonly offset: number;
}

export interface Timestamp {
  /** Since the epoch; may be negative. */
  readonly seconds: number;
  /** 0 to 999 999 999, counted forward from `seconds`. */
  readonly nanoseconds: number;
}

export interface SparseSegment {
  readonly offset: number;
  readonly length: number;
}
