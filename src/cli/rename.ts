import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "rename CONTAINER NEW_NAME",
  summary: "Gives a workload another name.",
  flags: {},
  arguments: [2, 2],
  async action(context, { args: [container = "", name = ""] }) {
    const hull = await context.hull();
    await hull.containers.rename(container, name);
    return 0;
  },
});
