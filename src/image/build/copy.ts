/** The layer of a COPY or ADD, as the bytes of a tar. Source: Dockerfile reference, COPY and ADD. */
import { HullError } from "../../contract/errors.ts";
import { bytesOfPieces, LayerWriter, type WriterOptions } from "./layer-writer.ts";
import type { CopySource } from "./sources.ts";
import { bytesOf, resolvePath, type TreeNode, textOf } from "./tree/node.ts";
import { isArchive, unpack } from "./unpack.ts";

export interface CopyPlan extends WriterOptions {
  readonly sources: readonly CopySource[];
  /** As it is written, variables replaced. */
  readonly destination: string;
  readonly workingDirectory: string;
  /** ADD: local archives are unpacked. */
  readonly unpacks: boolean;
}

/** Everything that can be wrong without reading the sources is thrown before the first byte. */
export async function* copyLayer(plan: CopyPlan): AsyncGenerator<Uint8Array> {
  const { image, sources } = plan;
  const written = plan.destination;
  const path = written.startsWith("/") ? written : `${plan.workingDirectory}/${written}`;
  const { path: base, node } = resolvePath(image, bytesOf(path));
  const namesDirectory = /(^|\/)\.?$/.test(written);
  if (sources.length > 1 && !namesDirectory)
    throw invalid(
      written,
      "with more than one source file, the destination must be a directory and end with a /",
    );
  if (node !== undefined && node.kind !== "directory" && (namesDirectory || base.length === 0))
    throw invalid(written, "it is not a directory in the image");
  const writer = new LayerWriter(plan);
  for (const source of sources) yield* copySource(plan, writer, source, base, node, namesDirectory);
  yield writer.end();
}

async function* copySource(
  plan: CopyPlan,
  writer: LayerWriter,
  source: CopySource,
  base: readonly string[],
  node: TreeNode | undefined,
  namesDirectory: boolean,
): AsyncGenerator<Uint8Array> {
  if (source.node.kind === "directory") {
    if (node !== undefined && node.kind !== "directory")
      throw invalid(plan.destination, "it is a file in the image");
    yield* writer.directory(base);
    yield* bytesOfPieces(writer.contents(source.node, base));
  } else if (plan.unpacks && source.plain !== true && (await isArchive(source.node))) {
    if (node !== undefined && node.kind !== "directory")
      throw invalid(plan.destination, "it is a file in the image");
    yield* unpack(source.node, base, plan.image, writer, `the archive ${textOf(source.name)}`);
  } else {
    const into = namesDirectory || node?.kind === "directory";
    const parts = into ? [...base, source.name] : base;
    if (parts.length === 0)
      throw invalid(plan.destination, "a file cannot take the place of the root directory");
    yield* bytesOfPieces(writer.copy(source.node, parts));
  }
}

/** The layer of a WORKDIR; undefined when the image has the directory. */
export function directoryLayer(
  image: TreeNode,
  path: string,
  now: number,
): AsyncGenerator<Uint8Array> | undefined {
  const { path: parts, node } = resolvePath(image, bytesOf(path));
  if (node?.kind === "directory") return undefined;
  if (node !== undefined) throw invalid(path, "it is not a directory in the image");
  const writer = new LayerWriter({ image, owner: undefined, mode: undefined, now, keepOwners: true });
  return (async function* () {
    yield* writer.directory(parts);
    yield writer.end();
  })();
}

function invalid(value: string, why: string): HullError {
  return new HullError("invalidParameter", { what: "destination", value, why });
}
