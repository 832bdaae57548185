/** The inodes of a layer while it is being made. Names and targets are latin1 strings, one character per byte. */

interface InodeBase {
  mode: number;
  uid: number;
  gid: number;
  mtimeSeconds: number;
  mtimeNanoseconds: number;
  xattrs: Map<string, Uint8Array> | undefined;
  /** Directory entries that point here; the directory's own `.` and its children's `..` are not counted. */
  links: number;
  /** The inode's number in the layer (its place in 32-byte slots); 0 until the layer is laid out. */
  nid: number;
}

export interface DirectoryInode extends InodeBase {
  readonly kind: "directory";
  readonly children: Map<string, Inode>;
  parent: DirectoryInode;
  /** Everything the lower layers have in this directory is hidden. */
  opaque: boolean;
}

export interface FileInode extends InodeBase {
  readonly kind: "file";
  readonly size: number;
  data: FileData;
}

/** Where a file's data is: in a row of blocks, or in chunks with holes between them. */
export type FileData =
  | { readonly kind: "row"; readonly block: number }
  | { readonly kind: "chunks"; readonly chunkBits: number; readonly blocks: Uint32Array };

export interface SymlinkInode extends InodeBase {
  readonly kind: "symlink";
  readonly target: string;
}

export interface SpecialInode extends InodeBase {
  readonly kind: "character-device" | "block-device" | "fifo" | "socket";
  readonly major: number;
  readonly minor: number;
  /** A character device 0/0 that stands for a removed name (overlayfs). */
  readonly whiteout: boolean;
}

export type Inode = DirectoryInode | FileInode | SymlinkInode | SpecialInode;

export type Attributes = Pick<
  InodeBase,
  "mode" | "uid" | "gid" | "mtimeSeconds" | "mtimeNanoseconds" | "xattrs"
>;

export function newDirectory(attributes: Attributes, parent: DirectoryInode | undefined): DirectoryInode {
  const made: Omit<DirectoryInode, "parent"> & { parent?: DirectoryInode } = {
    kind: "directory",
    ...attributes,
    links: 0,
    nid: 0,
    children: new Map(),
    opaque: false,
  };
  // The root is its own parent.
  return Object.assign(made, { parent: parent ?? (made as DirectoryInode) });
}

/** Of directories that no member describes. */
export function impliedAttributes(): Attributes {
  return { mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0, xattrs: undefined };
}
