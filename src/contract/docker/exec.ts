/** Processes added to a running container. */
import type { Optional } from "./common.ts";

/** POST /containers/{id}/exec */
export interface ExecCreateRequest {
  readonly AttachStdin?: Optional<boolean>;
  readonly AttachStdout?: Optional<boolean>;
  readonly AttachStderr?: Optional<boolean>;
  readonly Tty?: Optional<boolean>;
  /** `[height, width]`. */
  readonly ConsoleSize?: Optional<readonly number[]>;
  readonly DetachKeys?: Optional<string>;
  readonly Env?: Optional<readonly string[]>;
  readonly Cmd?: Optional<readonly string[]>;
  readonly Privileged?: Optional<boolean>;
  readonly User?: Optional<string>;
  readonly WorkingDir?: Optional<string>;
}

export interface ExecCreateResponse {
  readonly Id: string;
}

/** POST /exec/{id}/start */
export interface ExecStartRequest {
  readonly Detach?: Optional<boolean>;
  readonly Tty?: Optional<boolean>;
  readonly ConsoleSize?: Optional<readonly number[]>;
}

/** GET /exec/{id}/json */
export interface ExecInspect {
  readonly ID: string;
  readonly ContainerID: string;
  readonly Running: boolean;
  /** null while it runs or when it has not been started. */
  readonly ExitCode: number | null;
  readonly Pid: number;
  readonly OpenStdin: boolean;
  readonly OpenStdout: boolean;
  readonly OpenStderr: boolean;
  readonly CanRemove: boolean;
  readonly DetachKeys: string;
  readonly ProcessConfig: {
    readonly tty: boolean;
    readonly entrypoint: string;
    readonly arguments: readonly string[];
    readonly privileged: boolean;
    readonly user: string;
  };
}
