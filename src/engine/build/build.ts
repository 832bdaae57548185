/** A build from its request to its image. */
import { HullError } from "../../contract/errors.ts";
import type { BuildInbox, BuildSession, StageState } from "../../image/build/build-store.ts";
import type { BuildContext } from "../../image/build/context.ts";
import type { Instruction } from "../../image/build/dockerfile/instruction.ts";
import { maxDockerfileBytes } from "../../image/build/dockerfile/lines.ts";
import { parseDockerfile } from "../../image/build/dockerfile/parse.ts";
import { planStages, type StagePlan } from "../../image/build/dockerfile/stages.ts";
import { bytesOf, readTreeFile } from "../../image/build/tree/node.ts";
import { isArchive } from "../../image/build/unpack.ts";
import type { Image } from "../../image/image-store.ts";
import { tagReference } from "../../image/import.ts";
import { formatPlatform, hostPlatform } from "../../image/platform.ts";
import type { EngineContext } from "../context.ts";
import { unusedArguments } from "./arguments.ts";
import { BuildRun } from "./build-run.ts";
import { CacheFrom } from "./cache-from.ts";
import { gitArchive, parseGitUrl } from "./git.ts";
import { download } from "./remote.ts";
import type { BuildOutput, BuildRequest } from "./request.ts";

const contextName = "the build context";

/** Resolves to the image. When it fails or `signal` aborts, nothing of the build is left but what the cache keeps. */
export async function buildImage(
  context: EngineContext,
  request: BuildRequest,
  output: BuildOutput,
  signal: AbortSignal,
): Promise<Image> {
  for (const reference of request.references) tagReference(reference);
  const ending = AbortSignal.any([signal, context.closing]);
  // Before anything is kept from collection: a client that takes its time holds up nobody.
  await using files = await receive(context.builds, request, output, ending);
  return await context.builds.run(async (session) => {
    const text = await dockerfileText(files, request.dockerfile);
    await files.applyIgnoreFile(request.dockerfile, ending);
    const automatic = platformArguments();
    const { escapeToken, instructions } = parseDockerfile(text);
    const given = new Map(
      [...request.arguments].flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    );
    const planned = planStages(instructions, {
      escapeToken,
      buildArguments: given,
      automatic,
      target: request.target,
    });
    const plan = withLabels(planned, request.labels, escapeToken);
    const cacheFrom = await cacheFromOf(context, session, request.cacheFrom);
    const run = new BuildRun({
      ...{ context, session, request, output, signal: ending, files, plan, escapeToken, automatic },
      cacheFrom,
    });
    await warnOfWall(context, request, plan, output);
    const state = await run.all();
    await warnOfArguments(request, run, output);
    return await finish(context, session, state, request, output);
  });
}

async function finish(
  context: EngineContext,
  session: BuildSession,
  state: StageState,
  request: BuildRequest,
  output: BuildOutput,
): Promise<Image> {
  if (state.id === "")
    throw new HullError("invalidParameter", {
      what: "Dockerfile",
      value: request.dockerfile,
      why: "No image was generated: it has nothing behind FROM scratch",
    });
  const image = await session.finish(state, request.references);
  context.events.emit("image", "build", image.id, { name: image.id });
  await output.image(image.id);
  await output.text(`Successfully built ${image.id.slice("sha256:".length, "sha256:".length + 12)}\n`);
  for (const reference of request.references) {
    const tagged =
      reference.lastIndexOf(":") > reference.lastIndexOf("/") ? reference : `${reference}:latest`;
    context.events.emit("image", "tag", image.id, { name: tagged });
    await output.text(`Successfully tagged ${tagged}\n`);
  }
  return image;
}

async function receive(
  inbox: BuildInbox,
  request: BuildRequest,
  output: BuildOutput,
  signal: AbortSignal,
): Promise<BuildContext> {
  const source = request.context;
  if (source.kind === "tar") return await inbox.receiveContext(source.bytes, contextName);
  const repository = parseGitUrl(source.url);
  if (repository !== undefined) {
    await using scratch = await inbox.directory();
    const options = { scratch: scratch.path, proxies: inbox.proxies, signal };
    const files = await inbox.receiveContext(gitArchive(repository, options), contextName);
    if (files.root.child(".gitmodules") !== undefined)
      await output.text("[Warning] the repository has submodules, which are not fetched\n");
    return files;
  }
  if (!/^https?:\/\//.test(source.url))
    throw new HullError("invalidParameter", {
      what: "remote",
      value: source.url,
      why: "give a git or http(s) URL",
    });
  const { bytes } = await download(source.url, signal, inbox.proxies);
  const file = await inbox.receiveFile(request.dockerfile, bytes, {
    what: `the download ${source.url}`,
    mode: 0o644,
    mtimeSeconds: 0,
  });
  const node = file.root.child(bytesOf(request.dockerfile));
  // What is no archive is a Dockerfile, without a context.
  if (node === undefined || !(await isArchive(node))) return file;
  await using _ = file;
  return await inbox.receiveContext(node.content(), contextName);
}

async function dockerfileText(files: BuildContext, path: string): Promise<string> {
  const own = await readTreeFile(files.root, bytesOf(path), maxDockerfileBytes);
  // Docker's own leniency: on other systems the two are one.
  const lower = path === "Dockerfile" ? "dockerfile" : undefined;
  const found =
    own ?? (lower === undefined ? undefined : await readTreeFile(files.root, lower, maxDockerfileBytes));
  if (found === undefined)
    throw new HullError("invalidParameter", {
      what: "Dockerfile",
      value: path,
      why: `Cannot locate specified Dockerfile: ${path}`,
    });
  if (found.length === 0)
    throw new HullError("invalidParameter", {
      what: "Dockerfile",
      value: path,
      why: "the Dockerfile cannot be empty",
    });
  return found.toString("utf8");
}

/** Labels of the request are one more instruction of the target, as Docker has it. */
function withLabels(
  plan: StagePlan,
  labels: Readonly<Record<string, string>>,
  escapeToken: string,
): StagePlan {
  const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return plan;
  const literal = (text: string) => text.replaceAll(/[\\`$'"]/g, (char) => `${escapeToken}${char}`);
  const label: Exclude<Instruction, { do: "FROM" }> = {
    do: "LABEL",
    line: 0,
    text: `LABEL ${entries.map(([name, value]) => `${JSON.stringify(name)}=${JSON.stringify(value)}`).join(" ")}`,
    pairs: entries.map(([name, value]) => [literal(name), literal(value)]),
  };
  const stages = plan.stages.map((stage) =>
    stage.index === plan.target ? { ...stage, instructions: [...stage.instructions, label] } : stage,
  );
  return { ...plan, stages };
}

async function cacheFromOf(
  context: EngineContext,
  session: BuildSession,
  references: readonly string[],
): Promise<CacheFrom | undefined> {
  const states: StageState[] = [];
  for (const reference of references) {
    // One that is not here cannot help, and is no mistake.
    const image = await context.images.resolve(reference).catch(() => undefined);
    if (image !== undefined && image.artifactType === undefined) states.push(session.from(image));
  }
  return states.length === 0 ? undefined : new CacheFrom(session, states);
}

/** What a wall has to say is said with every build that runs something behind it, as with every create. */
async function warnOfWall(
  context: EngineContext,
  request: BuildRequest,
  plan: StagePlan,
  output: BuildOutput,
): Promise<void> {
  const runs = plan.needed.some((index) =>
    plan.stages[index]?.instructions.some((each) => each.do === "RUN"),
  );
  const { warning } = runs ? await context.walls[request.template.wall].features() : {};
  if (warning !== undefined) await output.text(`[Warning] ${warning}\n`);
}

async function warnOfArguments(request: BuildRequest, run: BuildRun, output: BuildOutput): Promise<void> {
  const unused = unusedArguments(request.arguments, run.declared);
  if (unused.length > 0)
    await output.text(`[Warning] One or more build-args [${unused.join(" ")}] were not consumed\n`);
}

function platformArguments(): Map<string, string> {
  const platform = hostPlatform();
  const values = {
    PLATFORM: formatPlatform(platform),
    OS: platform.os,
    ARCH: platform.architecture,
    VARIANT: platform.variant,
  };
  return new Map(
    ["TARGET", "BUILD"].flatMap((side) =>
      Object.entries(values).map(([name, value]): [string, string] => [`${side}${name}`, value]),
    ),
  );
}
