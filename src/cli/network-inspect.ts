import { inspectEach } from "./inspect-each.ts";
import { text } from "./parse/options.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "network inspect [OPTIONS] NETWORK [NETWORK...]",
  summary: "Shows all that is known of networks.",
  flags: { format: text("TEMPLATE", "json, or a template such as '{{.Driver}}'", "f") },
  arguments: [1],
  action: (context, { options, args }) =>
    inspectEach(context, args, options.format, (hull, name) => hull.networks.inspect(name)),
});
