import { ApiError, type Hull } from "../sdk/main.ts";
import { inspectEach } from "./inspect-each.ts";
import { text, toggle } from "./parse/options.ts";
import { choiceOf } from "./parse/values.ts";
import { defineVerb } from "./verb.ts";

const kinds = ["container", "image", "volume", "network"] as const;
type Kind = "any" | (typeof kinds)[number];

export default defineVerb({
  usage: "inspect [OPTIONS] NAME [NAME...]",
  summary: "Shows all that is known of workloads, images, networks or volumes.",
  flags: {
    format: text("TEMPLATE", "json, or a template such as '{{.State.Status}}'", "f"),
    type: text("KIND", "container, image, network or volume, where a name is several"),
    size: toggle("Add how much a workload has written", "s"),
  },
  arguments: [1],
  async action(context, { options, args }) {
    const kind = options.type === undefined ? "any" : choiceOf("--type", options.type, kinds);
    return inspectEach(context, args, options.format, (hull, name) =>
      inspect(hull, name, kind, options.size),
    );
  },
});

/** The first kind that has one of that name, in Docker's order. */
async function inspect(hull: Hull, name: string, kind: Kind, size: boolean): Promise<unknown> {
  const ways: Record<(typeof kinds)[number], () => Promise<unknown>> = {
    container: () => hull.containers.inspect(name, { size }),
    image: () => hull.images.inspect(name),
    network: () => hull.networks.inspect(name),
    volume: () => hull.volumes.inspect(name),
  };
  if (kind !== "any") return await ways[kind]();
  for (const way of [ways.container, ways.image, ways.network, ways.volume])
    try {
      return await way();
    } catch (error) {
      if (!isNone(error)) throw error;
    }
  throw new ApiError(404, `No such object: ${name}`);
}

/** A name that cannot be one kind's may still have been meant as another's. */
function isNone(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 400);
}
