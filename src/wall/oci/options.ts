/** What the OCI runtime and its containers are asked for; see runtime.ts. */
import type { OciProcess } from "./config.ts";

export interface OciRuntimeOptions {
  /** Absolute paths of the programs. */
  readonly runtime: string;
  readonly conmon: string;
  /** Where the runtime keeps its own state; gone after a reboot. */
  readonly runtimeRoot: string;
}

export interface ContainerOptions {
  /** The container's id, unique on the host. */
  readonly id: string;
  /** The workload's name and wall, for messages. */
  readonly name: string;
  readonly wall: "container" | "vm";
  /** Directory of the container, made when missing; deleted with the container. */
  readonly bundle: string;
  /** The control group, as in the config's `cgroupsPath`. */
  readonly cgroup: string;
  /** File for the output in the format of log.ts; undefined: none is kept. */
  readonly logPath: string | undefined;
  /** Bytes at which the log is started anew; undefined: it grows. */
  readonly logLimit?: number;
  readonly terminal: boolean;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  /** As given by the user, for messages. */
  readonly user: string;
  /** Descriptors the container's process gets as 3, 4…; they may be closed once `create` has returned. */
  readonly preserveDescriptors?: readonly number[];
}

export interface ContainerExecOptions {
  /** Unique in the container. */
  readonly id: string;
  readonly process: OciProcess;
  readonly stdin: boolean;
  readonly attach: boolean;
  readonly user: string;
}
