import { text, toggle, UsageError } from "./parse/options.ts";
import { showProgress } from "./pull-image.ts";
import { isTerminal } from "./session/terminal.ts";
import { fileSource, inputSource } from "./source.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "load [OPTIONS]",
  summary: "Loads images from an archive that docker save made, or of an OCI layout.",
  flags: {
    input: text("FILE", "Archive to read (default: standard input)", "i"),
    quiet: toggle("Show no progress", "q"),
  },
  arguments: [0, 0],
  async action(context, { options }) {
    const { input } = options;
    if (input === undefined && isTerminal(0))
      throw new UsageError("standard input is a terminal: pipe an archive into it, or use --input");
    const hull = await context.hull();
    const lines = hull.images.load(input === undefined ? inputSource() : fileSource(input), {
      quiet: options.quiet,
    });
    await showProgress(lines, context.stdout, options.quiet);
    return 0;
  },
});
