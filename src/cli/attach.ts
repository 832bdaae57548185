import { text, toggle } from "./parse/options.ts";
import { defaultDetachKeys, parseDetachKeys } from "./session/detach-keys.ts";
import { exitCodeOf } from "./session/exit.ts";
import { fitTerminal, join } from "./session/session.ts";
import { SignalForwarder } from "./session/signals.ts";
import { isTerminal } from "./session/terminal.ts";
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
    const terminal = Config.Tty;
    const stdin = !options["no-stdin"] && Config.OpenStdin;
    const inputIsTerminal = stdin && isTerminal(0);
    if (stdin && terminal && !inputIsTerminal) throw new Error("the input device is not a TTY");
    const detachKeys = parseDetachKeys(options["detach-keys"] ?? defaultDetachKeys);
    using signals = options["sig-proxy"] && !(terminal && stdin) ? new SignalForwarder() : undefined;
    const [streams, exit] = await Promise.all([
      hull.containers.attach(id, { stdin, terminal, detachKeys: options["detach-keys"] }),
      hull.containers.watchExit(id),
    ]);
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
  },
});
