import { splitReference } from "../sdk/main.ts";
import { text, toggle, UsageError } from "./parse/options.ts";
import { pullImage } from "./pull-image.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "pull [OPTIONS] NAME[:TAG|@DIGEST]",
  summary: "Downloads an image from a registry.",
  details:
    "With --platform all, an image for several platforms is kept with all of them, so that a push gives it again.",
  flags: {
    "all-tags": toggle("Download all tags of NAME", "a"),
    platform: text("OS/ARCH", "Platform of the image, or all (default: the host's)"),
    quiet: toggle("Print nothing but the name", "q"),
  },
  arguments: [1, 1],
  async action(context, { options, args: [reference = ""] }) {
    const allTags = options["all-tags"];
    const { name, tag } = splitReference(reference);
    if (allTags && tag !== "") throw new UsageError("--all-tags goes with a name without a tag");
    await pullImage(await context.hull(), context.stdout, reference, { ...options, allTags });
    if (options.quiet) await context.stdout.line(tag === "" && !allTags ? `${name}:latest` : reference);
    return 0;
  },
});
