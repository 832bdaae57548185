import { tableText } from "./print/table.ts";
import { visibleLine } from "./print/visible.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "top CONTAINER [PS_OPTIONS]",
  summary: "Lists the processes of a running workload.",
  flags: {},
  arguments: [1],
  optionsFirst: true,
  async action(context, { args: [name = "", ...psArguments] }) {
    const hull = await context.hull();
    const joined = psArguments.length === 0 ? undefined : psArguments.join(" ");
    const { Titles, Processes } = await hull.containers.top(name, joined);
    await context.stdout.write(tableText([Titles, ...(Processes ?? [])].map((row) => row.map(visibleLine))));
    return 0;
  },
});
