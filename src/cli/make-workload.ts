/** Creating a workload from the command line, its image pulled when it has to be. */
import { existsSync, writeFileSync } from "node:fs";
import type { ContainerCreateRequest } from "../contract/docker.ts";
import { ApiError, type Hull } from "../sdk/main.ts";
import type { Context } from "./context.ts";
import { UsageError } from "./parse/options.ts";
import { choiceOf } from "./parse/values.ts";
import type { WorkloadOptions } from "./parse/workload.ts";
import { visible } from "./print/visible.ts";

/** Returns the id; warnings go to standard error. */
export async function makeWorkload(
  context: Context,
  hull: Hull,
  request: ContainerCreateRequest,
  options: WorkloadOptions,
): Promise<string> {
  const { cidfile, name, platform } = options;
  if (cidfile !== undefined && existsSync(cidfile))
    throw new UsageError(`the file ${cidfile} of --cidfile exists already: its workload may still be there`);
  const policy = choiceOf("--pull", options.pull ?? "missing", ["missing", "always", "never"]);
  if (policy === "always") await pullFor(context, hull, request, platform);
  const create = () => hull.containers.create(request, { name, platform });
  const created = await create().catch(async (error: unknown) => {
    if (policy !== "missing" || !isMissingImage(error)) throw error;
    await context.stderr.line(`Unable to find image '${request.Image ?? ""}' locally`);
    await pullFor(context, hull, request, platform);
    return create();
  });
  for (const warning of created.Warnings) await context.stderr.line(`WARNING: ${visible(warning)}`);
  if (cidfile !== undefined) writeFileSync(cidfile, created.Id, { flag: "wx" });
  return created.Id;
}

function isMissingImage(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404 && /no such image/i.test(error.message);
}

async function pullFor(
  context: Context,
  hull: Hull,
  request: ContainerCreateRequest,
  platform: string | undefined,
): Promise<void> {
  const { pullImage } = await import("./pull-image.ts");
  await pullImage(hull, context.stderr, request.Image ?? "", { platform });
}
