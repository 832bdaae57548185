import { text } from "./parse/options.ts";
import { checkOutput, saveOutput } from "./save-output.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "save [OPTIONS] IMAGE [IMAGE...]",
  summary: "Writes images into one archive, which is an OCI layout and Docker's format at once.",
  flags: { output: text("FILE", "File to write (default: standard output)", "o") },
  arguments: [1],
  async action(context, { options, args }) {
    checkOutput(options.output);
    const hull = await context.hull();
    await saveOutput(context, options.output, await hull.images.save(args));
    return 0;
  },
});
