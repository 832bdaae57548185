/** The context of a build as a tar: a directory without what its .dockerignore names. */
import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  type Stats,
} from "node:fs";
import { messageOf } from "../../contract/errors.ts";
import { type IgnorePatterns, ignorePatterns } from "../../contract/ignore-patterns.ts";
import { type TarHeader, tarEnd, tarHeader, tarPadding } from "../../contract/tar-header.ts";

const chunkBytes = 256 * 1024;

export interface DirectoryContext {
  readonly directory: string;
  /** Path of the Dockerfile in the context: it is sent, whatever is ignored. */
  readonly dockerfile: string;
  /** A Dockerfile that is not in the directory: it is sent under that path, and no COPY gets it. */
  readonly outside: Uint8Array | undefined;
}

/** Names are latin1 strings, one character per byte. */
export async function* contextTar(context: DirectoryContext): AsyncGenerator<Uint8Array> {
  const ignoreFile = ignoreTextOf(context);
  const patterns = parse(ignoreFile?.text ?? "");
  const always = new Set([latin1(context.dockerfile), ignoreFile?.name ?? ""]);
  const root = Buffer.from(context.directory);
  for (const path of pathsBelow(root, "", patterns, always)) {
    if (context.outside !== undefined && path === ".dockerignore") continue;
    yield* member(root, path);
  }
  if (context.outside !== undefined) {
    yield* inlineMember(context.dockerfile, context.outside);
    const own = `${ignoreFile?.text ?? ""}\n${context.dockerfile}\n.dockerignore\n`;
    yield* inlineMember(".dockerignore", Buffer.from(own));
  }
  yield tarEnd;
}

/** A Dockerfile alone. */
export async function* dockerfileTar(name: string, content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* inlineMember(name, content);
  yield tarEnd;
}

function* inlineMember(path: string, content: Uint8Array): Generator<Uint8Array> {
  yield tarHeader({
    ...{ path: latin1(path), type: "file", mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 0 },
    size: content.length,
  });
  yield content;
  yield tarPadding(content.length);
}

function latin1(text: string): string {
  return Buffer.from(text).toString("latin1");
}

function ignoreTextOf({
  directory,
  dockerfile,
}: DirectoryContext): { name: string; text: string } | undefined {
  for (const name of [`${dockerfile}.dockerignore`, ".dockerignore"]) {
    try {
      return { name: latin1(name), text: readFileSync(`${directory}/${name}`, "utf8") };
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code !== "ENOENT" && code !== "ENOTDIR")
        throw new Error(`cannot read ${name}: ${messageOf(error)}`);
    }
  }
  return undefined;
}

function parse(text: string): IgnorePatterns {
  try {
    return ignorePatterns(text);
  } catch (error) {
    throw new Error(`.dockerignore: ${messageOf(error)}`, { cause: error });
  }
}

/** In the order of their bytes, so that the same directory gives the same tar. */
function* pathsBelow(
  root: Buffer,
  below: string,
  patterns: IgnorePatterns,
  always: ReadonlySet<string>,
): Generator<string> {
  const names = readdirSync(place(root, below), { encoding: "latin1" }).sort((a, b) => (a < b ? -1 : 1));
  for (const name of names) {
    const path = below === "" ? name : `${below}/${name}`;
    const wanted = always.has(path) || !patterns.ignores(Buffer.from(path, "latin1").toString("utf8"));
    const directory = lstatSync(place(root, path)).isDirectory();
    const inside = [...always].some((each) => each.startsWith(`${path}/`));
    if (wanted) yield path;
    if (directory && (wanted || inside || patterns.hasExceptions))
      yield* pathsBelow(root, path, patterns, always);
  }
}

function place(root: Buffer, path: string): Buffer {
  return path === "" ? root : Buffer.concat([root, Buffer.from("/"), Buffer.from(path, "latin1")]);
}

function* member(root: Buffer, path: string): Generator<Uint8Array> {
  const at = place(root, path);
  const status = lstatSync(at);
  const type = typeOf(status);
  // A socket is of the process that listens on it.
  if (type === undefined) return;
  yield tarHeader({
    path,
    type,
    mode: status.mode & 0o7777,
    // Whoever owns a file here is nobody there.
    uid: 0,
    gid: 0,
    mtimeSeconds: Math.floor(status.mtimeMs / 1000),
    size: type === "file" ? status.size : 0,
    ...(type === "symlink" ? { linkTarget: readlinkSync(at, { encoding: "latin1" }) } : {}),
  });
  if (type !== "file") return;
  yield* contentOf(at, path, status.size);
  yield tarPadding(status.size);
}

function typeOf(status: Stats): Extract<TarHeader["type"], "file" | "directory" | "symlink"> | undefined {
  if (status.isFile()) return "file";
  if (status.isDirectory()) return "directory";
  return status.isSymbolicLink() ? "symlink" : undefined;
}

/** Exactly as many bytes as the header says. */
function* contentOf(at: Buffer, path: string, size: number): Generator<Uint8Array> {
  const file = openSync(at, "r");
  try {
    for (let done = 0; done < size; ) {
      const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, size - done));
      const count = readSync(file, buffer, 0, buffer.length, done);
      if (count === 0)
        throw new Error(`${Buffer.from(path, "latin1").toString()} got shorter while it was being sent`);
      done += count;
      yield buffer.subarray(0, count);
    }
  } finally {
    closeSync(file);
  }
}
