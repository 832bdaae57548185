import { text, toggle, UsageError } from "./parse/options.ts";
import { timeOf } from "./parse/time.ts";
import { integerOf } from "./parse/values.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "logs [OPTIONS] CONTAINER",
  summary: "Shows what a workload wrote to standard output and standard error.",
  flags: {
    follow: toggle("Go on with what it writes", "f"),
    tail: text("LINES", "The last so many lines, or all (default all)", "n"),
    since: text("TIME", "From then on: 10m, 2026-01-31T12:00:00Z, seconds since 1970"),
    until: text("TIME", "Up to then"),
    timestamps: toggle("Show when each line was written", "t"),
  },
  arguments: [1, 1],
  async action(context, { options, args: [name = ""] }) {
    const { tail } = options;
    if (options.follow && options.until !== undefined)
      throw new UsageError("--follow and --until exclude each other");
    const hull = await context.hull();
    const output = hull.containers.logs(name, {
      follow: options.follow,
      timestamps: options.timestamps,
      tail:
        tail === undefined || tail === "all" || tail.startsWith("-")
          ? undefined
          : integerOf("--tail", tail, 0),
      since: options.since === undefined ? undefined : timeOf("--since", options.since),
      until: options.until === undefined ? undefined : timeOf("--until", options.until),
    });
    for await (const { stream, data } of output)
      await (stream === "stdout" ? context.stdout : context.stderr).write(data);
    return 0;
  },
});
