import { text, toggle } from "./parse/options.ts";
import { pullImage } from "./pull-image.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "pull [OPTIONS] NAME[:TAG|@DIGEST]",
  summary: "Downloads an image from a registry.",
  flags: {
    platform: text("OS/ARCH", "Platform of the image (default: the host's)"),
    quiet: toggle("Print nothing but the name", "q"),
  },
  arguments: [1, 1],
  async action(context, { options, args: [reference = ""] }) {
    await pullImage(await context.hull(), context.stdout, reference, options);
    if (options.quiet) await context.stdout.line(reference);
    return 0;
  },
});
