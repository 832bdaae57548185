import { splitReference } from "../sdk/main.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "tag IMAGE[:TAG] NAME[:TAG]",
  summary: "Gives an image one more name.",
  flags: {},
  arguments: [2, 2],
  async action(context, { args: [image = "", reference = ""] }) {
    const hull = await context.hull();
    const { name, tag } = splitReference(reference);
    await hull.images.tag(image, name, tag);
    return 0;
  },
});
