import { defaultDetachKeys } from "../contract/detach-keys.ts";
import { text, toggle } from "./parse/options.ts";
import { attachedSession } from "./session/attached.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "attach [OPTIONS] CONTAINER",
  summary: "Connects to the standard streams of a running workload.",
  flags: {
    "no-stdin": toggle("Do not send standard input"),
    "detach-keys": text("KEYS", `Keys that leave the workload running (default ${defaultDetachKeys})`),
    "sig-proxy": toggle("Pass signals on to the workload", undefined, true),
  },
  arguments: [1, 1],
  async action(context, { options, args: [name = ""] }) {
    const hull = await context.hull();
    const { Id: id, Config, State } = await hull.containers.inspect(name);
    if (!State.Running) throw new Error(`${name} is not running: start it first, or use hull start -a`);
    if (State.Paused) throw new Error(`${name} is paused: unpause it first`);
    return attachedSession(context, hull, {
      id,
      terminal: Config.Tty,
      stdin: !options["no-stdin"] && Config.OpenStdin,
      detachKeys: options["detach-keys"],
      forwardSignals: options["sig-proxy"],
      until: "not-running",
    });
  },
});
