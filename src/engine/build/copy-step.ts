/** COPY and ADD: where the sources are found, and the layer that they become. */
import { HullError } from "../../contract/errors.ts";
import { copyLayer } from "../../image/build/copy.ts";
import type { CopyInstruction } from "../../image/build/dockerfile/instruction.ts";
import type { Heredoc } from "../../image/build/dockerfile/lines.ts";
import { dockerfileError } from "../../image/build/dockerfile/syntax.ts";
import { expandText } from "../../image/build/dockerfile/words.ts";
import { parseMode, resolveOwner } from "../../image/build/owner.ts";
import { type CopySource, digestOfSources, findSources } from "../../image/build/sources.ts";
import { memoryFile } from "../../image/build/tree/memory.ts";
import { bytesOf, type TreeNode } from "../../image/build/tree/node.ts";
import { expandIn, variablesOf, withoutCommand } from "./config-step.ts";
import { download, isHttpUrl } from "./remote.ts";
import type { PlannedStep, StageView } from "./step.ts";

/** Of a file that ADD downloads. */
const downloadMode = 0o600;

export async function copyStep(
  stage: StageView,
  instruction: CopyInstruction,
  resources: AsyncDisposableStack,
): Promise<PlannedStep> {
  const { config } = stage.state;
  const expand = (text: string) => expandIn(text, instruction.line, stage.scope);
  const destination = expand(instruction.destination);
  if (destination === "")
    throw dockerfileError(instruction.line, `${instruction.do} has an empty destination`);
  const sources = await sourcesOf(stage, instruction, destination, resources);
  const image = resources.use(stage.run.session.treeOf(stage.state)).root;
  const chown = expand(instruction.chown);
  const chmod = expand(instruction.chmod);
  const owner = chown === "" ? undefined : await resolveOwner(image, chown);
  const mode = chmod === "" ? undefined : parseMode(chmod);
  const flags = `${chown === "" ? "" : `--chown=${chown} `}${chmod === "" ? "" : `--chmod=${chmod} `}`;
  const told = `${instruction.do} ${flags}${await digestOfSources(sources)} in ${destination} `;
  const plan = {
    image,
    sources,
    destination,
    owner,
    mode,
    workingDirectory: config.workingDir === "" ? "/" : config.workingDir,
    now: stage.run.nowSeconds(),
    // A context's files belong to nobody here; those of an image keep their owners.
    keepOwners: instruction.from !== "",
    unpacks: instruction.do === "ADD",
  };
  return {
    config,
    createdBy: withoutCommand(told, config).replace("#(nop)  ", "#(nop) "),
    key: [instruction.from === "" ? "context" : "image"],
    layer: () => Promise.resolve(copyLayer(plan)),
  };
}

async function sourcesOf(
  stage: StageView,
  instruction: CopyInstruction,
  destination: string,
  resources: AsyncDisposableStack,
): Promise<CopySource[]> {
  const words = instruction.sources.map((word) => expandIn(word, instruction.line, stage.scope));
  const urls = instruction.do === "ADD" ? words.filter(isRemote) : [];
  const local = words.filter((word) => !urls.includes(word));
  if (instruction.checksum !== "" && (urls.length !== 1 || local.length > 0))
    throw dockerfileError(instruction.line, "checksum can't be specified for anything but one HTTP source");
  const found: CopySource[] = [];
  if (local.length > 0) {
    const { root, name, hint } = await treeOf(stage, instruction, resources);
    found.push(...findSources(root, local, name, hint));
  }
  for (const url of urls) found.push(await downloaded(stage, instruction, url, destination, resources));
  for (const heredoc of instruction.inline) found.push(inline(stage, heredoc));
  if (found.length === 0) throw dockerfileError(instruction.line, "no source files were specified");
  return found;
}

function isRemote(word: string): boolean {
  return isHttpUrl(word) || /^(?:git@|git:\/\/|ssh:\/\/)/.test(word);
}

async function treeOf(
  stage: StageView,
  instruction: CopyInstruction,
  resources: AsyncDisposableStack,
): Promise<{ root: TreeNode; name: string; hint?: string }> {
  if (instruction.from === "") {
    const hint = ": it is missing or excluded by .dockerignore";
    return { root: stage.run.contextTree(), name: "build context", hint };
  }
  const state = await stage.run.stageOrImage(instruction.from);
  return { root: resources.use(stage.run.session.treeOf(state)).root, name: instruction.from };
}

async function downloaded(
  stage: StageView,
  instruction: CopyInstruction,
  url: string,
  destination: string,
  resources: AsyncDisposableStack,
): Promise<CopySource> {
  if (!isHttpUrl(url) || /\.git(?:#|$)/.test(url))
    throw new HullError("unsupported", {
      what: `ADD of the git repository ${url}`,
      where: "",
      why: "clone it in a RUN",
    });
  await stage.run.output.text(`Downloading ${url}\n`);
  const { bytes, name, mtimeSeconds } = await download(url, stage.run.signal, stage.run.session.proxies);
  if (name === "" && /\/$/.test(destination))
    throw dockerfileError(
      instruction.line,
      `cannot determine filename for source ${url}: name it in the destination`,
    );
  const file = name === "" ? "download" : name;
  const tree = await stage.run.session.receiveFile(file, bytes, {
    what: `the download ${url}`,
    mode: downloadMode,
    mtimeSeconds,
  });
  resources.use(tree);
  const node = tree.root.child(bytesOf(file));
  if (node === undefined) throw new HullError("internal", { what: "a download is in its own tree" });
  const actual = `sha256:${await node.digest()}`;
  const expected = expandIn(instruction.checksum, instruction.line, stage.scope);
  if (expected !== "" && expected !== actual)
    throw new HullError("digestMismatch", { what: `the download ${url}`, expected, actual });
  return { name: bytesOf(file), node, plain: true };
}

function inline(stage: StageView, heredoc: Heredoc): CopySource {
  const content = heredoc.expand
    ? expandText(heredoc.content, stage.run.escapeToken, variablesOf(stage.scope))
    : heredoc.content;
  return {
    name: bytesOf(heredoc.name),
    node: memoryFile(Buffer.from(content), stage.run.nowSeconds()),
    plain: true,
  };
}
