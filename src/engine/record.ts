/**
 * What is recorded of a workload, and its states.
 *
 *   creating -> created -> starting -> running <-> paused
 *                  ^           |          |
 *                  +-----------+          v
 *               (failed start)       exited | restarting -> starting …
 *
 *   running <-> suspended: the memory is on the disk, and there is no sandbox; counts as live, for the program is
 *   not at its end
 *   any state but creating and starting -> removing -> (no record)
 *   dead: a removal that failed half-way; it can only be removed
 *
 * `creating` and `starting` are seen only inside the daemon: what a crash leaves in them is undone at the next
 * start, so `starting` remembers the state it came from.
 */
import type { WallKind } from "../contract/isolation.ts";
import type { Digest } from "../image/image-store.ts";
import type { SandboxSpec } from "../wall/wall.ts";
import type { WorkloadMount } from "./mounts/mount-request.ts";
import type { RunRequest } from "./request.ts";

export const states = [
  "creating",
  "created",
  "starting",
  "running",
  "paused",
  "suspended",
  "restarting",
  "exited",
  "removing",
  "dead",
] as const;
export type State = (typeof states)[number];

export interface WorkloadRecord {
  readonly id: string;
  readonly name: string;
  readonly wall: WallKind;
  /** The image's id, and the reference it was asked for by. */
  readonly image: Digest;
  readonly request: RunRequest;
  readonly spec: SandboxSpec;
  /** Parents before what is in them. */
  readonly mounts: readonly WorkloadMount[];
  /** Resolved against the image when the workload was created. */
  readonly stopSignal: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly state: State;
  readonly life: Life;
}

/** The part of a record that changes with the state. Instants are milliseconds since the epoch. */
export interface Life {
  readonly startedAt?: number | undefined;
  readonly finishedAt?: number | undefined;
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** Why the last start failed or the sandbox was lost; empty when all is well. */
  readonly error: string;
  /** The last run ended and nobody knows how: `exitCode` means nothing, `error` says why. */
  readonly lost: boolean;
  readonly restartCount: number;
  /** A client stopped it: `unless-stopped` lets it rest. */
  readonly stoppedByUser: boolean;
  /** Something of the sandbox may exist, so it has to be removed before the next start or the workload's removal. */
  readonly sandbox: boolean;
  /** A wall whose writable layer in the workload's directory is to be removed: it is being moved there, or from there. */
  readonly discard?: WallKind | undefined;
  /** Its removal has begun, and takes its anonymous volumes along. */
  readonly removingVolumes?: boolean | undefined;
  /** In `starting`: the state to go back to when the start is undone. */
  readonly before?: "created" | "exited" | "restarting" | undefined;
}

export const newLife: Life = {
  exitCode: 0,
  oomKilled: false,
  error: "",
  lost: false,
  restartCount: 0,
  stoppedByUser: false,
  sandbox: false,
};

/** Whether the workload's program is there, moving or not. */
export function isLive(state: State): boolean {
  return state === "running" || state === "paused" || state === "suspended";
}
