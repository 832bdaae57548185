import type { Hull } from "../sdk/main.ts";
import type { Context } from "./context.ts";
import { forEach } from "./each.ts";
import { type Options, text, toggle, UsageError } from "./parse/options.ts";
import { complaint } from "./print/visible.ts";
import { defaultDetachKeys, parseDetachKeys } from "./session/detach-keys.ts";
import { exitCodeOf } from "./session/exit.ts";
import { fitTerminal, join } from "./session/session.ts";
import { SignalForwarder } from "./session/signals.ts";
import { isTerminal } from "./session/terminal.ts";
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
  const terminal = Config.Tty;
  const stdin = options.interactive && Config.OpenStdin;
  const inputIsTerminal = stdin && isTerminal(0);
  if (stdin && terminal && !inputIsTerminal) throw new Error("the input device is not a TTY");
  const detachKeys = parseDetachKeys(options["detach-keys"] ?? defaultDetachKeys);
  using signals = options["sig-proxy"] && !(terminal && stdin) ? new SignalForwarder() : undefined;
  const [streams, exit] = await Promise.all([
    hull.containers.attach(id, { stdin, terminal, detachKeys: options["detach-keys"] }),
    hull.containers.watchExit(id, HostConfig.AutoRemove ? "removed" : "next-exit"),
  ]);
  try {
    await hull.containers.start(id);
  } catch (error) {
    streams.close();
    exit.cancel();
    await context.stderr.line(complaint(error));
    return startFailureCode(error);
  }
  signals?.sendTo((signal) => void hull.containers.kill(id, signal).catch(() => undefined));
  const resize = (size: { columns: number; rows: number }) => hull.containers.resize(id, size);
  if (terminal) void fitTerminal(resize);
  const shown = { stdout: true, stderr: true };
  const end = await join(context, {
    streams,
    input: stdin,
    ...shown,
    terminal,
    inputIsTerminal,
    detachKeys,
    resize,
  });
  if (end === "detached") return 0;
  return exitCodeOf(exit, id);
}
