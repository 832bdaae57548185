import { splitReference } from "../sdk/main.ts";
import { list, text, UsageError } from "./parse/options.ts";
import { isTerminal } from "./session/terminal.ts";
import { fileSource, inputSource } from "./source.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "import [OPTIONS] FILE|- [NAME[:TAG]]",
  summary: "Makes an image of a root file system's tar, plain or compressed by gzip, xz or zstd.",
  flags: {
    change: list("INSTRUCTION", 'Apply a Dockerfile instruction to the image, such as CMD ["sh"]', "c"),
    message: text("TEXT", "Comment of the image's history", "m"),
    platform: text("OS/ARCH", "Platform of the image (default: the host's)"),
  },
  arguments: [1, 2],
  async action(context, { options, args: [file = "", reference = ""] }) {
    if (/^https?:\/\//.test(file))
      throw new UsageError(
        "importing from a URL is not supported: download it and pipe it in, with - as the file",
      );
    if (file === "-" && isTerminal(0))
      throw new UsageError("standard input is a terminal: pipe a tar into it");
    const hull = await context.hull();
    const { name, tag } = splitReference(reference);
    const lines = hull.images.import(file === "-" ? inputSource() : fileSource(file), {
      repository: name === "" ? undefined : name,
      tag: tag === "" ? undefined : tag,
      message: options.message,
      changes: options.change,
      platform: options.platform,
    });
    let id = "";
    for await (const line of lines) id = line.status ?? id;
    if (id !== "") await context.stdout.line(id);
    return 0;
  },
});
