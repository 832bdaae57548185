import { inspectEach } from "./inspect-each.ts";
import { text } from "./parse/options.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "volume inspect [OPTIONS] VOLUME [VOLUME...]",
  summary: "Shows all that is known of volumes.",
  flags: { format: text("TEMPLATE", "json, or a template such as '{{.Mountpoint}}'", "f") },
  arguments: [1],
  action: (context, { options, args }) =>
    inspectEach(context, args, options.format, (hull, name) => hull.volumes.inspect(name)),
});
