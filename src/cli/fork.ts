import { text } from "./parse/options.ts";
import { integerOf } from "./parse/values.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "fork [OPTIONS] CONTAINER",
  summary: "Makes running siblings of a running virtual machine, which goes on, and prints their ids.",
  details:
    "Siblings begin with the memory, the processes and the files that the virtual machine has, and share them until they are written.\nEach has a host name, random numbers and a machine id of its own.",
  flags: {
    count: text("NUMBER", "How many siblings; 1 when not given"),
    name: text("NAME", "Name of the sibling; of several, NAME-1, NAME-2 and so on"),
  },
  arguments: [1, 1],
  async action(context, { args, options: { count, name } }) {
    const hull = await context.hull();
    const siblings = await hull.containers.fork(args[0] ?? "", {
      Count: count === undefined ? undefined : integerOf("count", count, 1),
      Name: name,
    });
    for (const { Id } of siblings) await context.stdout.line(Id);
    return 0;
  },
});
