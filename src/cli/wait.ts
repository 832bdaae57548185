import { forEach } from "./each.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "wait CONTAINER [CONTAINER...]",
  summary: "Waits until workloads have ended, and prints their exit codes.",
  flags: {},
  arguments: [1],
  action: (context, { args }) =>
    forEach(context, args, async (hull, name) => {
      const { code, error } = await hull.containers.wait(name);
      if (error !== undefined) throw new Error(error);
      return String(code);
    }),
});
