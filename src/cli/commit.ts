import { splitReference } from "../sdk/main.ts";
import { list, text, toggle } from "./parse/options.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "commit [OPTIONS] WORKLOAD [NAME[:TAG]]",
  summary: "Makes an image of a workload and what it has written.",
  flags: {
    author: text("NAME", "Author of the image", "a"),
    change: list("INSTRUCTION", 'Apply a Dockerfile instruction to the image, such as CMD ["sh"]', "c"),
    message: text("TEXT", "Comment of the image's history", "m"),
    pause: toggle("Let the workload stand still meanwhile", "p", true),
  },
  arguments: [1, 2],
  async action(context, { options, args: [name = "", reference = ""] }) {
    const hull = await context.hull();
    const { name: repository, tag } = splitReference(reference);
    const id = await hull.files.commit(name, {
      repository,
      tag,
      author: options.author,
      message: options.message,
      changes: options.change,
      pause: options.pause,
    });
    await context.stdout.line(id);
    return 0;
  },
});
