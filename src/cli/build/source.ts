/** What PATH, URL or - and --file stand for together. */
import { lstatSync, readFileSync, realpathSync } from "node:fs";
import { basename, isAbsolute, join, relative } from "node:path";
import { messageOf } from "../../contract/errors.ts";
import type { Source } from "../../sdk/main.ts";
import { UsageError } from "../parse/options.ts";
import { isTerminal } from "../session/terminal.ts";
import { contextTar, dockerfileTar } from "./context.ts";

export interface BuildSource {
  readonly context: Source | { readonly url: string };
  readonly dockerfile: string;
}

const headBytes = 512;

export async function buildSource(word: string, file: string | undefined): Promise<BuildSource> {
  if (word === "-") return await inputContext(file);
  if (/^(?:https?:\/\/|git:\/\/|ssh:\/\/|git@|github\.com\/)/.test(word) && !isDirectory(word))
    return { context: { url: word }, dockerfile: file ?? "Dockerfile" };
  if (!isDirectory(word))
    throw new UsageError(`unable to prepare context: path ${JSON.stringify(word)} is no directory`);
  return await directoryContext(realpathSync(word), file);
}

async function directoryContext(directory: string, file: string | undefined): Promise<BuildSource> {
  if (file === "-") {
    if (isTerminal(0)) throw new UsageError("standard input is a terminal: pipe a Dockerfile into it");
    const outside = new Uint8Array(await Bun.stdin.arrayBuffer());
    return outsideDockerfile(directory, outside);
  }
  const path =
    file === undefined ? join(directory, "Dockerfile") : isAbsolute(file) ? file : join(process.cwd(), file);
  const inside = relative(directory, resolved(path));
  if (inside.startsWith("..") || isAbsolute(inside))
    return outsideDockerfile(directory, readDockerfile(path));
  if (file !== undefined) readDockerfile(path);
  return {
    context: { data: contextTar({ directory, dockerfile: inside, outside: undefined }) },
    dockerfile: inside,
  };
}

/** The directory's part is resolved, so that a Dockerfile is found to be in its context whatever links lead there. */
function resolved(path: string): string {
  try {
    return join(realpathSync(join(path, "..")), basename(path));
  } catch {
    return path;
  }
}

function outsideDockerfile(directory: string, outside: Uint8Array): BuildSource {
  const dockerfile = `.dockerfile.${Bun.randomUUIDv7().replaceAll("-", "").slice(-20)}`;
  return { context: { data: contextTar({ directory, dockerfile, outside }) }, dockerfile };
}

function readDockerfile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`unable to read the Dockerfile ${path}: ${messageOf(error)}`);
  }
}

/** Standard input is an archive, or a Dockerfile that needs no context. */
async function inputContext(file: string | undefined): Promise<BuildSource> {
  if (file === "-") throw new UsageError("standard input cannot be both the Dockerfile and the context");
  if (isTerminal(0))
    throw new UsageError("standard input is a terminal: pipe a Dockerfile or an archive into it");
  const reader = Bun.stdin.stream().getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  let done = false;
  while (!done && length < headBytes) {
    const next = await reader.read();
    done = next.done;
    if (next.value !== undefined) {
      parts.push(next.value);
      length += next.value.length;
    }
  }
  const head = Buffer.concat(parts);
  async function* all(): AsyncGenerator<Uint8Array> {
    yield head;
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  }
  if (isArchive(head)) return { context: { data: all() }, dockerfile: file ?? "Dockerfile" };
  if (file !== undefined)
    throw new UsageError("standard input is a Dockerfile itself, so --file has nothing to name");
  const content: Uint8Array[] = [];
  for await (const part of all()) content.push(part);
  return { context: { data: dockerfileTar("Dockerfile", Buffer.concat(content)) }, dockerfile: "Dockerfile" };
}

function isArchive(head: Buffer): boolean {
  const magics = ["1f8b", "28b52ffd", "fd377a585a00", "425a68"];
  const hex = head.subarray(0, 6).toString("hex");
  return magics.some((magic) => hex.startsWith(magic)) || head.toString("latin1", 257, 262) === "ustar";
}

function isDirectory(path: string): boolean {
  return lstatSync(`${path}/.`, { throwIfNoEntry: false })?.isDirectory() === true;
}
