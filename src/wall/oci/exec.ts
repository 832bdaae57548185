/** One more process in a running container, with a monitor of its own. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { HullError } from "../../contract/errors.ts";
import { explainWriteError } from "../../host/system-error.ts";
import type { Attachment, ExecSession, ExitStatus } from "../wall.ts";
import { openAttachment } from "./attachment.ts";
import {
  attachSocketOf,
  type MonitorPrograms,
  RuntimeRefusal,
  startMonitor,
  writeTerminalSize,
} from "./monitor.ts";
import type { ContainerExecOptions, ContainerOptions } from "./options.ts";
import { explainRuntimeFailure } from "./runtime-error.ts";

/** Starts a process by conmon and the runtime's `exec`. Its directory goes when the session has ended. */
export async function execInContainer(
  programs: MonitorPrograms,
  container: ContainerOptions,
  options: ContainerExecOptions,
): Promise<ExecSession> {
  const directory = `${container.bundle}/exec/${options.id.slice(0, 24)}`;
  const processPath = `${directory}/process.json`;
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(directory, { recursive: true, force: true }));
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(processPath, JSON.stringify(options.process), { mode: 0o600 });
  } catch (error) {
    throw explainWriteError(error, "the exec session's configuration", directory);
  }
  let attachment: Attachment | undefined;
  undo.defer(() => attachment?.detach());
  const attach = async (): Promise<void> => {
    attachment = await openAttachment(attachSocketOf(directory), {
      stdin: options.stdin,
      lingerAfterDetach: false,
    });
  };
  try {
    const monitor = await startMonitor({
      ...programs,
      directory,
      containerId: container.id,
      logPath: undefined,
      terminal: options.process.terminal,
      stdin: options.stdin,
      leaveStdinOpen: false,
      preserveDescriptors: [],
      exec: { id: options.id, processPath, ...(options.attach ? { onReady: attach } : {}) },
    });
    const exit = monitor.ended.then((end): ExitStatus => {
      rmSync(directory, { recursive: true, force: true });
      if (end === undefined) throw new HullError("monitorLost", { name: container.name });
      return { code: end.code, oomKilled: false, finishedAt: end.finishedAt };
    });
    // Nobody may be waiting; the failure is kept for whoever does.
    exit.catch(() => undefined);
    undo.move();
    return {
      attachment,
      pid: monitor.pid,
      resize: async (size) => writeTerminalSize(directory, size.rows, size.columns),
      wait: () => exit,
    };
  } catch (error) {
    if (!(error instanceof RuntimeRefusal)) throw error;
    throw explainRuntimeFailure(error.message, {
      name: container.name,
      wall: container.wall,
      command: options.process.args[0] ?? "",
      cwd: options.process.cwd,
      user: options.user,
    });
  }
}
