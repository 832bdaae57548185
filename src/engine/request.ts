/** What a client asks for, in the engine's own terms; the API translates Docker's to these. Plain data: it is recorded. */
import type { WallKind } from "../contract/isolation.ts";
import type { NetworkRequest } from "../network/records/types.ts";
import type { TerminalSize } from "../wall/wall.ts";
import type { MountRequest } from "./mounts/mount-request.ts";
import type { RestartPolicy } from "./restart.ts";

export interface RunRequest {
  /** Undefined: the engine makes one up. */
  readonly name: string | undefined;
  /** As the client wrote it. */
  readonly image: string;
  readonly wall: WallKind;
  /** Docker's word for the wall as the client wrote it; shown by inspect. */
  readonly isolation: string;
  /** Undefined: the image's. An empty list or `[""]` takes the image's away. */
  readonly entrypoint: readonly string[] | undefined;
  /** Undefined or empty: the image's, unless `entrypoint` is given. */
  readonly command: readonly string[] | undefined;
  /** `NAME=value`; `NAME` alone takes a variable of the image away. */
  readonly env: readonly string[];
  /** Empty: the image's. */
  readonly workingDirectory: string;
  /** Empty: the image's. */
  readonly user: string;
  /** Empty: the short id. */
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly exposedPorts: readonly string[];
  readonly terminal: boolean;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  /** Which streams the client means to attach; only shown by inspect. */
  readonly attached: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  readonly size: TerminalSize | undefined;
  readonly readOnlyRoot: boolean;
  readonly memoryBytes: number;
  readonly nanoCpus: number;
  readonly pidsLimit: number;
  /** Bytes of the writable layer; 0: the wall's default. */
  readonly storageBytes: number;
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  /** Empty: the image's, else SIGTERM. */
  readonly stopSignal: string;
  /** Seconds before a stop becomes a kill; undefined: 10. Negative: never. */
  readonly stopTimeout: number | undefined;
  readonly restart: RestartPolicy;
  readonly autoRemove: boolean;
  readonly network: NetworkRequest;
  /** `NAME:ALIAS`: what the workload calls others of its first network. */
  readonly links: readonly string[];
  readonly mounts: readonly MountRequest[];
  /** Workloads whose volumes and binds it has, too: `NAME`, `NAME:ro`. */
  readonly volumesFrom: readonly string[];
  /** It runs a step of a build, so it goes with the daemon that builds. */
  readonly ofBuild: boolean;
}

export interface ExecRequest {
  readonly command: readonly string[];
  readonly env: readonly string[];
  /** Empty: the workload's. */
  readonly workingDirectory: string;
  /** Empty: the workload's. */
  readonly user: string;
  readonly terminal: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly size: TerminalSize | undefined;
}
