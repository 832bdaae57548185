import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "search TERM",
  summary: "Says why registries cannot be searched.",
  flags: {},
  arguments: [1, 1],
  action(_context, { args: [term = ""] }) {
    throw new Error(
      `cannot search for ${term}: registries have no search, their protocol knows names and tags only. ` +
        "Pull by name, or all tags of a name with hull pull --all-tags",
    );
  },
});
