import { forEach } from "./each.ts";
import { text } from "./parse/options.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "kill [OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Sends a signal to workloads, KILL when none is named.",
  flags: { signal: text("SIGNAL", "Signal to send, by name or number (default KILL)", "s") },
  arguments: [1],
  action: (context, { options, args }) =>
    forEach(context, args, async (hull, name) => {
      await hull.containers.kill(name, options.signal);
      return name;
    }),
});
