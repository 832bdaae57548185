import { text } from "./parse/options.ts";
import { bytesOf, integerOf, nanoCpusOf } from "./parse/values.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "template build [OPTIONS]",
  summary: "Makes ahead what virtual machines of a size start from, and prints its id.",
  details: "The first virtual machine of a size makes the template if nobody has: this takes one boot.",
  flags: {
    memory: text("BYTES", "Memory of the machines, such as 512m", "m"),
    cpus: text("NUMBER", "Processors of the machines"),
    layers: text("NUMBER", "Most layers of the images"),
  },
  arguments: [0, 0],
  async action(context, { options: { memory, cpus, layers } }) {
    const request = {
      Memory: memory === undefined ? undefined : bytesOf("memory", memory),
      Cpus: cpus === undefined ? undefined : nanoCpusOf("cpus", cpus) / 1e9,
      Layers: layers === undefined ? undefined : integerOf("layers", layers, 1),
    };
    const hull = await context.hull();
    await context.stdout.line((await hull.templates.build(request)).Id);
    return 0;
  },
});
