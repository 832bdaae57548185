import { defaultDetachKeys } from "../contract/detach-keys.ts";
import { ConnectionError, type Hull, type TerminalSize } from "../sdk/main.ts";
import type { Context } from "./context.ts";
import { list, type Options, text, toggle } from "./parse/options.ts";
import { environmentOf } from "./parse/values.ts";
import { complaint } from "./print/visible.ts";
import { join, sessionInput } from "./session/session.ts";
import { terminalSize } from "./session/terminal.ts";
import { exitCodes, startFailureCode } from "./start-failure.ts";
import { defineVerb } from "./verb.ts";

const flags = {
  interactive: toggle("Send it the client's standard input", "i"),
  tty: toggle("Give the command a terminal", "t"),
  detach: toggle("Do not wait for the command", "d"),
  env: list("NAME=VALUE", "Set a variable; NAME alone passes the client's on", "e"),
  "env-file": list("FILE", "Set the variables in a file"),
  workdir: text("DIR", "Working directory", "w"),
  user: text("USER[:GROUP]", "User, by name or number", "u"),
  "detach-keys": text("KEYS", `Keys that leave the command running (default ${defaultDetachKeys})`),
} as const;

type ExecOptions = Options<typeof flags>;

export default defineVerb({
  usage: "exec [OPTIONS] CONTAINER COMMAND [ARG...]",
  summary: "Runs a command in a running workload.",
  flags,
  arguments: [2],
  optionsFirst: true,
  failureCode: exitCodes.ownError,
  async action(context, { options, args }) {
    const hull = await context.hull();
    try {
      return await execute(context, hull, options, args);
    } catch (error) {
      const code = startFailureCode(error);
      if (code === exitCodes.ownError) throw error;
      await context.stderr.line(complaint(error));
      return code;
    }
  },
});

async function execute(
  context: Context,
  hull: Hull,
  options: ExecOptions,
  args: readonly string[],
): Promise<number> {
  const [name = "", ...command] = args;
  const terminal = options.tty;
  const stdin = options.interactive && !options.detach;
  const input = sessionInput(stdin, terminal, options["detach-keys"]);
  const exec = await hull.containers.createExec(name, {
    Cmd: command,
    Tty: terminal,
    AttachStdin: stdin,
    AttachStdout: !options.detach,
    AttachStderr: !options.detach,
    Env: environmentOf(options.env, options["env-file"]),
    WorkingDir: options.workdir,
    User: options.user,
    DetachKeys: options["detach-keys"],
  });
  if (options.detach) {
    await hull.containers.startExecDetached(exec, terminal);
    return 0;
  }
  const size = terminal ? terminalSize() : undefined;
  const streams = await hull.containers.startExec(exec, { terminal, size });
  const resize = (changed: TerminalSize) => hull.containers.resizeExec(exec, changed);
  const end = await join(context, { ...input, streams, stdout: true, stderr: true, resize });
  return end === "detached" ? 0 : exitCodeOf(hull, exec);
}

/** A program may close its output before it ends. */
async function exitCodeOf(hull: Hull, exec: string): Promise<number> {
  for (;;) {
    const { running, exitCode } = await hull.containers.inspectExec(exec).catch((cause: unknown) => {
      if (!(cause instanceof ConnectionError)) throw cause;
      throw new Error("lost the connection to the hull daemon: how the command ends is not known", { cause });
    });
    if (!running && exitCode !== undefined) return exitCode;
    if (!running) throw new Error("the command ended, but its exit code cannot be known");
    await Bun.sleep(20);
  }
}
