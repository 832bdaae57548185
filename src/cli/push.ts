import { splitReference } from "../sdk/main.ts";
import { credentialsFor } from "./credentials/for-image.ts";
import { text, toggle, UsageError } from "./parse/options.ts";
import { showProgress } from "./pull-image.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "push [OPTIONS] NAME[:TAG]",
  summary: "Uploads an image to a registry.",
  details:
    "What is pushed is what was pulled or made, byte for byte. An image for several platforms that was pulled with\n--platform all is pushed as a whole.",
  flags: {
    "all-tags": toggle("Push all tags of NAME that are here", "a"),
    platform: text("OS/ARCH", "Push this part only of an image for several platforms"),
    quiet: toggle("Print nothing but the name", "q"),
  },
  arguments: [1, 1],
  async action(context, { options, args: [reference = ""] }) {
    const { name, tag } = splitReference(reference);
    const all = options["all-tags"];
    if (all && tag !== "") throw new UsageError("--all-tags goes with a name without a tag");
    const hull = await context.hull();
    const auth = await credentialsFor(hull, name);
    if (!all && tag === "" && !options.quiet) await context.stdout.line("Using default tag: latest");
    const wanted = all ? "" : tag === "" ? "latest" : tag;
    const lines = hull.images.push({ name, tag: wanted }, { platform: options.platform, auth });
    await showProgress(lines, context.stdout, options.quiet);
    if (options.quiet) await context.stdout.line(all ? name : `${name}:${wanted}`);
    return 0;
  },
});
