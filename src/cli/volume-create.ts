import { list, text } from "./parse/options.ts";
import { labelsOf, pairsOf } from "./parse/values.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "volume create [OPTIONS] [NAME]",
  summary: "Makes a volume: files that outlive workloads.",
  flags: {
    name: text("NAME", "Name of the volume"),
    driver: text("DRIVER", "There is one, local", "d"),
    opt: list("NAME=VALUE", "Option of the driver: type, device, o", "o"),
    label: list("NAME=VALUE", "Set a label"),
  },
  arguments: [0, 1],
  async action(context, { options, args }) {
    const hull = await context.hull();
    const volume = await hull.volumes.create({
      Name: args[0] ?? options.name,
      Driver: options.driver,
      DriverOpts: pairsOf("--opt", options.opt),
      Labels: labelsOf(options.label, []),
    });
    await context.stdout.line(volume.Name);
    return 0;
  },
});
