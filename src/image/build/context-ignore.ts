/** `.dockerignore` of a context that was received. */

import { HullError } from "../../contract/errors.ts";
import { type IgnorePatterns, ignorePatterns } from "../../contract/ignore-patterns.ts";
import type { ContextNode } from "./context-node.ts";
import { bytesOf, readTreeFile, textOf } from "./tree/node.ts";

const ignoreFileLimit = 1024 * 1024;
/** Paths that are looked at before others get a turn. */
const stretch = 200;

/** Throws the signal's reason when that comes first. */
export async function applyIgnoreFile(
  root: ContextNode,
  dockerfile: string,
  signal: AbortSignal,
): Promise<void> {
  const own = await readTreeFile(root, bytesOf(`${dockerfile}.dockerignore`), ignoreFileLimit);
  const text = own ?? (await readTreeFile(root, ".dockerignore", ignoreFileLimit));
  if (text === undefined) return;
  let patterns: IgnorePatterns;
  try {
    patterns = ignorePatterns(text.toString("utf8"));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new HullError("invalidParameter", { what: ".dockerignore", value: "", why: error.message });
  }
  let looked = 0;
  for (const _ of removeIgnored(root, "", patterns)) {
    looked++;
    if (looked % stretch !== 0) continue;
    signal.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Yields at every path that was looked at. The directories that hold something wanted stay. */
function* removeIgnored(
  directory: ContextNode,
  path: string,
  patterns: IgnorePatterns,
): Generator<undefined> {
  for (const [name, child] of directory.children) {
    const whole = path === "" ? name : `${path}/${name}`;
    yield;
    const ignored = patterns.ignores(textOf(whole));
    if (child.kind === "directory" && (!ignored || patterns.hasExceptions)) {
      yield* removeIgnored(child, whole, patterns);
      if (ignored && child.children.size === 0) directory.children.delete(name);
    } else if (ignored) directory.children.delete(name);
  }
}
