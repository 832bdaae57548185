import { text } from "./parse/options.ts";
import { checkOutput, saveOutput } from "./save-output.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "export [OPTIONS] WORKLOAD",
  summary: "Writes a workload's whole root file system as a tar.",
  flags: { output: text("FILE", "File to write (default: standard output)", "o") },
  arguments: [1, 1],
  async action(context, { options, args: [name = ""] }) {
    checkOutput(options.output);
    const hull = await context.hull();
    await saveOutput(context, options.output, await hull.files.export(name));
    return 0;
  },
});
