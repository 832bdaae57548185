import { basename } from "node:path";
import { messageOf } from "../contract/errors.ts";
import { ApiError, type Hull } from "../sdk/main.ts";
import type { Context } from "./context.ts";
import {
  assertsDirectory,
  followDestination,
  followSource,
  meansContents,
  placeOf,
  targetOf,
} from "./copy/local.ts";
import { pack } from "./copy/pack.ts";
import { toggle, UsageError } from "./parse/options.ts";
import { decimalSize } from "./print/human.ts";
import { isTerminal } from "./session/terminal.ts";
import { inputSource } from "./source.ts";
import { defineVerb } from "./verb.ts";

interface Options {
  readonly archive: boolean;
  readonly follow: boolean;
  readonly quiet: boolean;
}

export default defineVerb({
  usage:
    "cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n       hull cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
  summary: "Copies files between a workload and this machine.",
  details: "`-` is a tar: on standard output, or from standard input into a directory of the workload.",
  flags: {
    archive: toggle("Give everything the owner that the workload's process has", "a"),
    "follow-link": toggle("Copy what a link at SRC_PATH leads to", "L"),
    quiet: toggle("Do not say what was copied", "q"),
  },
  arguments: [2, 2],
  async action(context, { options, args: [source = "", destination = ""] }) {
    const from = inWorkload(source);
    const to = inWorkload(destination);
    const how = { archive: options.archive, follow: options["follow-link"], quiet: options.quiet };
    if (from !== undefined && to !== undefined)
      throw new UsageError("copying between containers is not supported: pipe one cp into another, with -");
    if (from !== undefined) await copyOut(context, from, destination, how);
    else if (to !== undefined) await copyIn(context, source, to, how);
    else throw new UsageError("one of the paths needs to be in a workload: NAME:PATH");
    return 0;
  },
});

interface InWorkload {
  readonly name: string;
  readonly path: string;
}

/** `name:path`; what begins with a dot or a slash is a path of this machine, whatever colons are in it. */
function inWorkload(text: string): InWorkload | undefined {
  const colon = text.indexOf(":");
  if (colon < 1 || /^[./]/.test(text)) return undefined;
  return { name: text.slice(0, colon), path: text.slice(colon + 1) };
}

async function copyOut(context: Context, from: InWorkload, destination: string, how: Options): Promise<void> {
  const hull = await context.hull();
  let { path } = from;
  const asked = nameOf(path);
  if (how.follow) {
    const stat = await hull.files.status(from.name, path);
    if (stat.linkTarget !== "") path = stat.linkTarget;
  }
  if (destination === "-") {
    if (isTerminal(1)) throw new UsageError("standard output is a terminal: redirect it");
    const { bytes } = await hull.files.archive(from.name, path, path === from.path ? {} : { as: asked });
    for await (const chunk of bytes) await context.stdout.write(chunk);
    return;
  }
  const stat = await hull.files.status(from.name, path);
  const isDirectory = stat.mode >= 2 ** 31;
  const place = followDestination(destination);
  const target = targetOf(
    { name: asked, isDirectory, contents: meansContents(path) },
    { path: place, ...placeOf(place) },
  );
  if (!placeOf(target.directory).isDirectory)
    throw new Error(`invalid output path: directory ${target.directory} does not exist`);
  const { bytes } = await hull.files.archive(from.name, path, { as: target.name });
  const { unpack } = await import("./copy/unpack.ts");
  let size = 0;
  const counted = (async function* () {
    for await (const chunk of bytes) {
      size += chunk.length;
      yield chunk;
    }
  })();
  const leftOut = await unpack(counted, target.directory);
  for (const each of leftOut) await context.stderr.line(`left out: ${each}`);
  if (!how.quiet) await context.stderr.line(`Successfully copied ${decimalSize(size)} to ${destination}`);
}

async function copyIn(context: Context, source: string, to: InWorkload, how: Options): Promise<void> {
  const hull = await context.hull();
  const destination = await destinationIn(hull, to);
  const put = { keepKind: true, giveOwner: how.archive };
  if (source === "-") {
    if (isTerminal(0)) throw new UsageError("standard input is a terminal: pipe a tar into it");
    if (!destination.isDirectory) throw new Error(`destination "${to.name}:${to.path}" must be a directory`);
    await hull.files.put(to.name, destination.path, inputSource(), put);
    return;
  }
  const here = how.follow ? followed(source) : source;
  const place = placeOfSource(here);
  const target = targetOf(
    { name: nameOf(source), isDirectory: place.isDirectory, contents: meansContents(source) },
    destination,
  );
  let size = 0;
  const counted = (async function* () {
    for await (const chunk of pack(here, target.name)) {
      size += chunk.length;
      yield chunk;
    }
  })();
  await hull.files.put(to.name, target.directory, { data: counted }, put);
  if (!how.quiet)
    await context.stderr.line(`Successfully copied ${decimalSize(size)} to ${to.name}:${to.path}`);
}

function followed(source: string): string {
  try {
    return followSource(source);
  } catch (error) {
    throw new Error(`cannot read ${source}: ${messageOf(error)}`, { cause: error });
  }
}

/** A link at the end is copied as one, unless a slash says that what it leads to is meant. */
function placeOfSource(path: string): { readonly isDirectory: boolean } {
  const place = placeOf(path);
  if (place.exists && assertsDirectory(path) && !place.isDirectory)
    throw new Error(`${path} is not a directory`);
  return { isDirectory: place.isDirectory && !isLink(path) };
}

function isLink(path: string): boolean {
  try {
    return !assertsDirectory(path) && followDestination(path) !== path;
  } catch {
    return true;
  }
}

async function destinationIn(
  hull: Hull,
  to: InWorkload,
): Promise<{ path: string; exists: boolean; isDirectory: boolean }> {
  const path = to.path.startsWith("/") ? to.path : `/${to.path}`;
  const absent = { path, exists: false, isDirectory: false };
  const stat = await statIfThere(hull, to.name, path);
  if (stat === undefined) return absent;
  if (stat.linkTarget === "") return { path, exists: true, isDirectory: stat.mode >= 2 ** 31 };
  const target = await statIfThere(hull, to.name, stat.linkTarget);
  const isDirectory = (target?.mode ?? 0) >= 2 ** 31;
  return { path: stat.linkTarget, exists: target !== undefined, isDirectory };
}

async function statIfThere(hull: Hull, name: string, path: string) {
  try {
    return await hull.files.status(name, path);
  } catch (error) {
    // Without a body nobody says whether it is the container that is not there: the copy itself will.
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

function nameOf(path: string): string {
  return meansContents(path) ? "." : basename(path) || "/";
}
