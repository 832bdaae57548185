import { defaultDetachKeys } from "../contract/detach-keys.ts";
import type { Hull } from "../sdk/main.ts";
import type { Context } from "./context.ts";
import { forEach } from "./each.ts";
import { type Options, text, toggle, UsageError } from "./parse/options.ts";
import { complaint } from "./print/visible.ts";
import { attachedSession } from "./session/attached.ts";
import { startFailureCode } from "./start-failure.ts";
import { defineVerb } from "./verb.ts";

const flags = {
  attach: toggle("Show its output, pass signals on, end with its exit code", "a"),
  interactive: toggle("Send it the client's standard input", "i"),
  "detach-keys": text("KEYS", `Keys that leave the workload running (default ${defaultDetachKeys})`),
  "sig-proxy": toggle("Pass signals on to the workload", undefined, true),
} as const;

export default defineVerb({
  usage: "start [OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Starts workloads that were created or have ended.",
  flags,
  arguments: [1],
  async action(context, { options, args }) {
    if (options.attach || options.interactive) {
      const [name = ""] = args;
      if (args.length > 1) throw new UsageError("only one workload can be attached to at once");
      return startAttached(context, await context.hull(), options, name);
    }
    return forEach(context, args, async (hull, name) => {
      await hull.containers.start(name);
      return name;
    });
  },
});

async function startAttached(
  context: Context,
  hull: Hull,
  options: Options<typeof flags>,
  name: string,
): Promise<number> {
  // One that runs already is attached to: starting it again has no effect.
  const { Id: id, Config, HostConfig } = await hull.containers.inspect(name);
  return attachedSession(context, hull, {
    id,
    terminal: Config.Tty,
    stdin: options.interactive && Config.OpenStdin,
    detachKeys: options["detach-keys"],
    forwardSignals: options["sig-proxy"],
    until: HostConfig.AutoRemove ? "removed" : "next-exit",
    begin: async () => {
      try {
        await hull.containers.start(id);
        return undefined;
      } catch (error) {
        await context.stderr.line(complaint(error));
        return startFailureCode(error);
      }
    },
  });
}
