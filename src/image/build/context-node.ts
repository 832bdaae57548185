/** What a build's context consists of, as it is kept in memory; the bytes of files are in the context's own file. */
import type { TreeNode } from "./tree/node.ts";

const chunkBytes = 256 * 1024;

export interface ContextAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  readonly size: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

interface Stored {
  readonly position: number;
  readonly hash: string;
  readonly read: (at: number, bytes: number) => Promise<Uint8Array>;
}

export class ContextNode implements TreeNode {
  readonly kind: "file" | "directory" | "symlink";
  readonly children = new Map<string, ContextNode>();
  attributes: ContextAttributes;
  target = "";
  stored: Stored | undefined;
  readonly major = 0;
  readonly minor = 0;
  readonly identity = "";

  constructor(kind: ContextNode["kind"], attributes: ContextAttributes) {
    this.kind = kind;
    this.attributes = attributes;
  }

  get mode() {
    return this.attributes.mode;
  }
  get uid() {
    return this.attributes.uid;
  }
  get gid() {
    return this.attributes.gid;
  }
  get mtimeSeconds() {
    return this.attributes.mtimeSeconds;
  }
  get size() {
    return this.attributes.size;
  }
  get xattrs() {
    return this.attributes.xattrs;
  }

  child(name: string): ContextNode | undefined {
    return this.children.get(name);
  }

  names(): string[] {
    return [...this.children.keys()].sort((a, b) => (a < b ? -1 : 1));
  }

  async *content(): AsyncGenerator<Uint8Array> {
    const { stored } = this;
    if (stored === undefined) return;
    for (let done = 0; done < this.size; done += chunkBytes)
      yield await stored.read(stored.position + done, Math.min(chunkBytes, this.size - done));
  }

  digest(): Promise<string> {
    if (this.stored === undefined) throw new Error("only a file that was stored has a digest");
    return Promise.resolve(this.stored.hash);
  }
}

export function plainAttributes(mode: number): ContextAttributes {
  return { mode, uid: 0, gid: 0, mtimeSeconds: 0, size: 0, xattrs: new Map() };
}

/** File capabilities are the only attributes that Docker takes over from a context. */
export function keptXattrs(xattrs: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> {
  const name = "security.capability";
  const value = xattrs.get(name);
  return value === undefined ? new Map() : new Map([[name, value]]);
}
