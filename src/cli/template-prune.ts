import { decimalSize } from "./print/human.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "template prune",
  summary: "Removes templates of no use: of another kernel, agent or QEMU than today's, or damaged.",
  flags: {},
  arguments: [0, 0],
  async action(context) {
    const hull = await context.hull();
    const pruned = await hull.templates.prune();
    for (const { Id } of pruned) await context.stdout.line(Id);
    const size = pruned.reduce((sum, template) => sum + template.Size, 0);
    await context.stdout.line(`Total reclaimed space: ${decimalSize(size)}`);
    return 0;
  },
});
