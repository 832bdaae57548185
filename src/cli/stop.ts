import { forEach } from "./each.ts";
import { text } from "./parse/options.ts";
import { integerOf } from "./parse/values.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "stop [OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Asks workloads to end, and kills those that do not.",
  flags: {
    time: text(
      "SECONDS",
      "How long to wait before killing (default 10, or what was asked for at creation)",
      "t",
    ),
    timeout: text("SECONDS", "The same as --time"),
    signal: text("SIGNAL", "Signal to ask with", "s"),
  },
  arguments: [1],
  action: (context, { options, args }) =>
    forEach(context, args, async (hull, name) => {
      const time = options.time ?? options.timeout;
      const seconds = time === undefined ? undefined : integerOf("--time", time, -1);
      await hull.containers.stop(name, { seconds, signal: options.signal });
      return name;
    }),
});
