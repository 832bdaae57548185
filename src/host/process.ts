/**
 * Processes that are not (or no longer) our children: found in /proc, signalled only while they are provably
 * the ones we mean.
 */
import { readdirSync, readFileSync } from "node:fs";
import { closeDescriptor } from "./descriptor.ts";
import { check, libc, systemCall } from "./libc.ts";
import { errnoNameOf } from "./system-error.ts";

/** A process id alone may be reused; with the start time it names one process for as long as the machine runs. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since boot, field 22 of /proc/PID/stat. */
  readonly startTime: number;
}

export interface ProcessStatus extends ProcessIdentity {
  readonly parentPid: number;
  /** One letter as in proc(5); `Z` and `X` are dead. */
  readonly state: string;
}

/** What /proc says of a process; undefined when there is none. A zombie is there, with its state. */
export function processStatus(pid: number): ProcessStatus | undefined {
  const stat = readProc(pid, "stat");
  return stat === undefined ? undefined : parseProcessStatus(stat);
}

/** The identity of a running process; undefined when it has ended (zombies included). */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const status = processStatus(pid);
  if (status === undefined || status.state === "Z" || status.state === "X") return undefined;
  return { pid: status.pid, startTime: status.startTime };
}

export function isRunning(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startTime === identity.startTime;
}

/** Sends a signal to exactly this process; false when it has ended. */
export function signalProcess(identity: ProcessIdentity, signal: number): boolean {
  let descriptor: number;
  try {
    descriptor = check(
      libc.syscall(systemCall.pidfdOpen, identity.pid, 0, 0, 0, 0, 0),
      "pidfd_open",
      String(identity.pid),
    );
  } catch (error) {
    if (errnoNameOf(error) === "ESRCH") return false;
    throw error;
  }
  try {
    // The descriptor now pins the process, so the comparison cannot be overtaken by a reuse of the number.
    if (!isRunning(identity)) return false;
    check(
      libc.syscall(systemCall.pidfdSendSignal, descriptor, signal, 0, 0, 0, 0),
      "pidfd_send_signal",
      String(identity.pid),
    );
    return true;
  } catch (error) {
    if (errnoNameOf(error) === "ESRCH") return false;
    throw error;
  } finally {
    closeDescriptor(descriptor);
  }
}

/** The running processes whose arguments are as wanted. Looks at every process: for what has left no other trace. */
export function findProcesses(wanted: (args: readonly string[]) => boolean): ProcessIdentity[] {
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    const args = Number.isNaN(pid) ? undefined : readProc(pid, "cmdline")?.split("\0");
    const identity = args !== undefined && wanted(args) ? identifyProcess(pid) : undefined;
    return identity === undefined ? [] : [identity];
  });
}

/** Parses /proc/PID/stat. The command name may itself contain spaces and parentheses. */
export function parseProcessStatus(stat: string): ProcessStatus | undefined {
  const nameEnd = stat.lastIndexOf(")");
  const fields = stat.slice(nameEnd + 2).split(" ");
  const pid = Number.parseInt(stat, 10);
  const [state, parentPid] = fields;
  const startTime = Number(fields[19]);
  if (nameEnd < 0 || state === undefined || Number.isNaN(pid) || Number.isNaN(startTime)) return undefined;
  return { pid, parentPid: Number(parentPid), state, startTime };
}

/** One file of /proc/PID as text; undefined when the process is gone. */
export function readProc(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES"].includes(errnoNameOf(error) ?? "")) return undefined;
    throw error;
  }
}
