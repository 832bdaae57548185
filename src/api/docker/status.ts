/** A workload's state in Docker's words, for machines and for people. */
import type { ContainerState, ContainerStatus } from "../../contract/docker.ts";
import { rfc3339 } from "../../engine/clock.ts";
import type { Life, State } from "../../engine/record.ts";
import type { Workload } from "../../engine/workload.ts";

/** While a start is under way, the state that it began from is shown. */
export function statusOf({ state, life }: { state: State; life: Life }): ContainerStatus {
  if (state === "starting") return life.before ?? "created";
  // Docker has no word for it: it is there, it does not move, and nobody should clear it up.
  if (state === "suspended") return "paused";
  return state === "creating" ? "created" : state;
}

export function stateOf(workload: Workload): ContainerState {
  const { state, life } = workload.record;
  return {
    Status: statusOf(workload.record),
    Running: workload.live || state === "restarting",
    Paused: state === "paused" || state === "suspended",
    Restarting: state === "restarting",
    OOMKilled: life.oomKilled,
    Dead: state === "dead",
    Pid: workload.live ? (workload.sandbox?.pid() ?? 0) : 0,
    ExitCode: life.exitCode,
    Error: life.error,
    StartedAt: rfc3339(life.startedAt),
    FinishedAt: rfc3339(life.finishedAt),
  };
}

/** `Up 2 minutes`, `Exited (0) 3 seconds ago`… */
export function statusText(workload: Workload, now: number): string {
  const { state, life } = workload.record;
  const since = (instant: number | undefined) => durationText((now - (instant ?? now)) / 1000);
  switch (state) {
    case "running":
      return `Up ${since(life.startedAt)}`;
    case "paused":
      return `Up ${since(life.startedAt)} (Paused)`;
    case "suspended":
      return `Up ${since(life.startedAt)} (Suspended)`;
    case "restarting":
      return `Restarting (${life.exitCode}) ${since(life.finishedAt)} ago`;
    case "exited":
      return `Exited (${life.exitCode}) ${since(life.finishedAt)} ago`;
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
    default:
      return "Created";
  }
}

const units: readonly (readonly [string, number, number])[] = [
  // unit, its seconds, from how many seconds on it is used
  ["years", 31_536_000, 63_072_000],
  ["months", 2_592_000, 5_184_000],
  ["weeks", 604_800, 1_209_600],
  ["days", 86_400, 172_800],
  ["hours", 3600, 5400],
  ["minutes", 60, 120],
];

function durationText(seconds: number): string {
  if (seconds < 1) return "Less than a second";
  if (seconds < 2) return "1 second";
  if (seconds < 60) return `${Math.floor(seconds)} seconds`;
  if (seconds < 120) return "About a minute";
  if (seconds >= 3600 && seconds < 5400) return "About an hour";
  for (const [unit, length, from] of units)
    if (seconds >= from) return `${Math.floor(seconds / length)} ${unit}`;
  return `${Math.floor(seconds / 60)} minutes`;
}
