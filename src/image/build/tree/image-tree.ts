/**
 * The root file system of an image, merged from its layers as overlayfs would: an upper name hides a lower one,
 * whiteouts hide, directories merge unless they are opaque. Read from the layers' files; nothing is mounted.
 */
import { type LayerNode, LayerReader } from "../../layer/reader.ts";
import { opaqueXattr } from "../../layer/xattrs.ts";
import { digestOfContent, type TreeNode } from "./node.ts";

export interface ImageTree extends Disposable {
  readonly root: TreeNode;
}

/** `paths`: the layers' files, bottom first. */
export function openImageTree(paths: readonly string[]): ImageTree {
  using opened = new DisposableStack();
  const layers = paths.toReversed().map((path) => opened.use(new LayerReader(path)));
  const kept = opened.move();
  const parts = layers.map((layer): Part => ({ layer, node: layer.root }));
  const firstOpaque = parts.findIndex(isOpaque);
  const seen = firstOpaque < 0 ? parts : parts.slice(0, firstOpaque + 1);
  const [top, ...rest] = seen;
  const root = top === undefined ? emptyRoot : new ImageNode([top, ...rest]);
  return { root, [Symbol.dispose]: () => kept.dispose() };
}

interface Part {
  readonly layer: LayerReader;
  readonly node: LayerNode;
}

/** A name with its inodes in the layers, top first: several for a directory, one for anything else. */
class ImageNode implements TreeNode {
  readonly #parts: readonly [Part, ...Part[]];
  #entries: readonly ReadonlyMap<string, number>[] | undefined;
  /** The directory that was asked for last: whoever goes through its files one by one reads its names once. */
  #last: { readonly name: string; readonly node: ImageNode } | undefined;

  constructor(parts: readonly [Part, ...Part[]]) {
    this.#parts = parts;
  }

  get kind() {
    return this.#node.kind;
  }
  get mode() {
    return this.#node.mode;
  }
  get uid() {
    return this.#node.uid;
  }
  get gid() {
    return this.#node.gid;
  }
  get mtimeSeconds() {
    return this.#node.mtimeSeconds;
  }
  get size() {
    return this.#node.size;
  }
  get major() {
    return this.#node.major;
  }
  get minor() {
    return this.#node.minor;
  }
  get target() {
    return this.kind === "symlink" ? this.#layer.target(this.#node) : "";
  }

  /** Overlayfs' own attributes are how a layer is stored, not what is in it. */
  get xattrs(): ReadonlyMap<string, Uint8Array> {
    const { xattrs } = this.#node;
    return xattrs.has(opaqueXattr) ? new Map([...xattrs].filter(([name]) => name !== opaqueXattr)) : xattrs;
  }

  get identity() {
    const { kind, links, nid } = this.#node;
    return kind === "directory" || links < 2 ? "" : `${layerNumber(this.#layer)}:${nid}`;
  }

  child(name: string): TreeNode | undefined {
    if (this.#last?.name === name) return this.#last.node;
    const parts: Part[] = [];
    for (const [index, entries] of this.#lists().entries()) {
      const nid = entries.get(name);
      const layer = this.#parts[index]?.layer;
      if (nid === undefined || layer === undefined) continue;
      const part = { layer, node: layer.node(nid) };
      const directory = part.node.kind === "directory";
      if (isWhiteout(part.node) || (parts.length > 0 && !directory)) break;
      parts.push(part);
      if (!directory || isOpaque(part)) break;
    }
    const [top, ...rest] = parts;
    if (top === undefined) return undefined;
    const node = new ImageNode([top, ...rest]);
    if (node.kind === "directory") this.#last = { name, node };
    return node;
  }

  names(): string[] {
    const names = new Set(this.#lists().flatMap((entries) => [...entries.keys()]));
    return [...names].filter((name) => this.child(name) !== undefined).sort((a, b) => (a < b ? -1 : 1));
  }

  content(): AsyncIterable<Uint8Array> {
    return this.#layer.content(this.#node);
  }

  digest(): Promise<string> {
    return digestOfContent(this.content());
  }

  get #node(): LayerNode {
    return this.#parts[0].node;
  }

  get #layer(): LayerReader {
    return this.#parts[0].layer;
  }

  #lists(): readonly ReadonlyMap<string, number>[] {
    this.#entries ??=
      this.kind === "directory" ? this.#parts.map(({ layer, node }) => layer.entries(node)) : [];
    return this.#entries;
  }
}

function isOpaque({ node }: Part): boolean {
  return node.xattrs.get(opaqueXattr)?.[0] === 0x79;
}

function isWhiteout(node: LayerNode): boolean {
  return node.kind === "character-device" && node.major === 0 && node.minor === 0;
}

const numbers = new WeakMap<LayerReader, number>();
let nextNumber = 1;

function layerNumber(layer: LayerReader): number {
  const known = numbers.get(layer);
  if (known !== undefined) return known;
  numbers.set(layer, nextNumber);
  nextNumber += 1;
  return nextNumber - 1;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** Of an image without layers. */
const emptyRoot: TreeNode = {
  kind: "directory",
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtimeSeconds: 0,
  size: 0,
  target: "",
  major: 0,
  minor: 0,
  xattrs: new Map(),
  identity: "",
  child: () => undefined,
  names: () => [],
  content: nothing,
  digest: () => digestOfContent(nothing()),
};
