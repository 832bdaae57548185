import { defineVerb } from "./verb.ts";

const letters = ["C", "A", "D"] as const;

export default defineVerb({
  usage: "diff WORKLOAD",
  summary: "Lists what a workload has added (A), changed (C) and deleted (D) in its image's files.",
  flags: {},
  arguments: [1, 1],
  async action(context, { args: [name = ""] }) {
    const hull = await context.hull();
    const changes = await hull.files.changes(name);
    await context.stdout.write(changes.map(({ Kind, Path }) => `${letters[Kind]} ${Path}\n`).join(""));
    return 0;
  },
});
