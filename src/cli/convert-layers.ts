/** `hull convert-layers`: for the daemon, not for people. See src/image/layer/worker.ts. */
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "convert-layers",
  summary: "Converts layers for the daemon.",
  flags: {},
  arguments: [0, 0],
  async action() {
    const { serveConversions } = await import("../image/layer/worker.ts");
    await serveConversions(Bun.stdin.stream(), async (answer) => {
      await Bun.write(Bun.stdout, `${JSON.stringify(answer)}\n`);
    });
    return 0;
  },
});
