import { tinyImage } from "../contract/defaults.ts";
import { text } from "./parse/options.ts";
import { choiceOf, integerOf } from "./parse/values.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "compare [OPTIONS] [IMAGE]",
  summary: "Runs an image behind each wall in turns, and shows what each wall costs on this host.",
  details: `The image needs a shell; without one named it is ${tinyImage}.`,
  flags: {
    runs: text("NUMBER", "How often behind each wall (default 3)", "n"),
    format: text("FORMAT", "table or json (default table)"),
  },
  arguments: [0, 1],
  async action(context, { options, args: [image = tinyImage] }) {
    const runs = options.runs === undefined ? 3 : integerOf("--runs", options.runs, 1);
    const json = choiceOf("--format", options.format ?? "table", ["table", "json"]) === "json";
    const { compare } = await import("../compare/main.ts");
    let shown = Promise.resolve();
    // In the order they came, whichever stream they go to.
    const show = (write: () => Promise<void>) => {
      shown = shown.then(write);
      // The failure is seen where `shown` is awaited.
      shown.catch(() => undefined);
    };
    await compare(
      await context.hull(),
      { image, runs, json },
      {
        report: (report) => show(() => context.stdout.write(report)),
        progress: (line) => show(() => context.stderr.line(line)),
      },
    );
    await shown;
    return 0;
  },
});
