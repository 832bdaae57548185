import { ApiError, type Hull } from "../sdk/main.ts";
import { inspectEach } from "./inspect-each.ts";
import { text, toggle } from "./parse/options.ts";
import { choiceOf } from "./parse/values.ts";
import { defineVerb } from "./verb.ts";

type Kind = "any" | "container" | "image";

export default defineVerb({
  usage: "inspect [OPTIONS] NAME [NAME...]",
  summary: "Shows all that is known of workloads or images.",
  flags: {
    format: text("TEMPLATE", "json, or a template such as '{{.State.Status}}'", "f"),
    type: text("KIND", "container or image, where a name is both"),
    size: toggle("Add how much a workload has written", "s"),
  },
  arguments: [1],
  async action(context, { options, args }) {
    const kind =
      options.type === undefined ? "any" : choiceOf("--type", options.type, ["container", "image"]);
    return inspectEach(context, args, options.format, (hull, name) =>
      inspect(hull, name, kind, options.size),
    );
  },
});

async function inspect(hull: Hull, name: string, kind: Kind, size: boolean): Promise<unknown> {
  if (kind === "image") return hull.images.inspect(name);
  try {
    return await hull.containers.inspect(name, { size });
  } catch (error) {
    if (kind === "container" || !isNotFound(error)) throw error;
  }
  try {
    return await hull.images.inspect(name);
  } catch (error) {
    // A name that cannot be an image's may still have been meant as a workload's.
    if (error instanceof ApiError && (error.status === 404 || error.status === 400))
      throw new ApiError(404, `No such object: ${name}`);
    throw error;
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}
