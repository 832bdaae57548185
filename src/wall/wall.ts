/**
 * The contract of a wall.
 *
 * Life cycle of a sandbox, the live side of one workload:
 *
 *   create -> (attach)* -> start -> (signal | exec | resize | pause/resume | stats | attach | fork)* -> wait -> remove
 *                                      (any time) suspend -> revive, as from start on
 *
 * - `create` makes everything up to, but not including, the workload's first instruction. When it throws,
 *   nothing of the attempt is left.
 * - `attach` may be called from `create` on; an attachment made before `start` sees every byte.
 * - `start` resolves when the workload's program has been executed (so `commandNotFound` and the like are
 *   thrown by it), and may be called once. After a failed start the caller calls `remove`.
 * - `wait` may be called at any time, any number of times, and resolves once the workload has ended and all of
 *   its output is in the log. It rejects with `monitorLost` or `vmLost` when the exit status cannot be known;
 *   losing the monitor is never disguised as an exit code.
 * - `remove` ends whatever still runs and takes away all that `create` made, except the writable layer and the
 *   log. With `discard`, the caller throws the writable layer away right after: what of it is not on the host yet
 *   need not get there; volumes lose nothing. It is idempotent and works in every state, half-made ones and those left by a dead daemon included.
 * - `files` reads and writes the workload's files from `create` to the workload's end, and while it is paused; it
 *   needs no process of the workload. `openFiles` does for one that has no sandbox: nothing of the workload runs,
 *   and there may be no sandbox beside it. What a dead daemon left of it, `recover` finds and `remove` takes away.
 * - `suspend` saves the sandbox's memory to `suspendedPlace(spec.directory)` and takes the sandbox away, all but what
 *   `remove` leaves, too; attachments and exec sessions end, and `wait` is never answered. When it throws, the workload
 *   runs on. `revive` is for that what `create` and `start` are for a new one; it consumes the saved state before the
 *   workload's next instruction, so a state is used once: when it throws and the place is still there, nothing was
 *   lost; otherwise the workload is. Whoever removes the place gives the state up.
 * - `fork` makes running sandboxes that begin as copies of this one, which goes on with its attachments and sessions.
 *   All or none of them: when it throws, nothing of them is left. Their names, random numbers and clock are their own
 *   before their first instruction.
 * - A sandbox outlives the daemon: `recover` finds it again from the same spec. What `recover` returns behaves
 *   like what `create` returned. It resolves to undefined when there is nothing (never made, removed, or gone
 *   with a reboot). A sandbox that ended while no daemon was there is found, and its `wait` resolves.
 *
 * Calls for different sandboxes may run at once; for one sandbox the engine holds a lock around create, start,
 * suspend, revive, fork and remove. signal, exec, resize, stats and attach may run at once with anything.
 *
 * Stated differences between walls are data (`WallFeatures`), not methods. One conformance suite
 * (conformance.ts) runs against every wall.
 */
import type { WallKind, WallLabel } from "../contract/isolation.ts";
import type { Files } from "./files.ts";

export interface Wall {
  readonly kind: WallKind;
  /** Names in a workload's directory that are its writable layer behind this wall; no other wall uses them. */
  readonly layerNames: readonly string[];
  /** What this wall can do here, found by looking, not by assuming. Cheap after the first call. */
  features(): Promise<WallFeatures>;
  /** The same as far as it is known without trying what takes long; not there when nothing does. */
  featuresSoFar?(): WallFeatures;
  /** Why the first start of a workload takes longer than it will later, in a sentence for the user; undefined if not. */
  delay?(spec: SandboxSpec): Promise<string | undefined>;
  create(spec: SandboxSpec): Promise<Sandbox>;
  recover(spec: SandboxSpec): Promise<Sandbox | undefined>;
  /** The files of a workload that has no sandbox, until disposed of. */
  openFiles(spec: SandboxSpec): Promise<OpenFiles>;
  /**
   * A sandbox that is prepared for a workload of that size and of the image with these layers, if there is one: whoever gives
   * a new workload its id has it start sooner. It is kept for a while.
   */
  prepared?(resources: Resources, layers: readonly string[]): PreparedSandbox | undefined;
  /** No workload has these layers, and no other ever will. Resolves when nothing of the wall's keeps their space on the disk. */
  forgetLayers?(paths: readonly string[]): Promise<void>;
  /** Makes a suspended workload go on. A wall that can save the memory of its workloads has it, `suspend` and `fork`. */
  revive?: ((spec: SandboxSpec) => Promise<Sandbox>) | undefined;
  /** Lets go of what the wall holds for the daemon (sockets, watches, idle mounts); running sandboxes go on. */
  close(): Promise<void>;
}

export interface OpenFiles extends AsyncDisposable {
  readonly files: Files;
}

export interface PreparedSandbox {
  readonly id: string;
  /**
   * Path of the network name space that it has, for at once: the workload's network is to be made in it. Undefined
   * when the sandbox is no longer kept.
   */
  readonly namespace: () => string | undefined;
  /** There is no workload of that id after all, and never was: the next one may have it. */
  readonly giveBack: () => void;
}

export interface WallFeatures {
  readonly label: WallLabel;
  /** Why the wall cannot be used here (no QEMU, no kernel…), with the command that mends it; undefined if it can. */
  readonly unavailable?: string;
  /** One sentence shown with every create, e.g. that TCG is not a security boundary. */
  readonly warning?: string;
  /** Whether the workload shares the host's kernel. */
  readonly sharesKernel: boolean;
}

/** Where the state of a suspended workload is; it exists exactly while the workload is suspended. */
export function suspendedPlace(directory: string): string {
  return `${directory}/suspended`;
}

export interface Sandbox {
  readonly spec: SandboxSpec;
  readonly files: Files;
  /** Process id on the host: the workload's PID 1 for a container, QEMU for a VM; undefined when not running. */
  pid(): number | undefined;
  start(): Promise<void>;
  attach(options: AttachOptions): Promise<Attachment>;
  /** Sends a signal (Linux number) to the workload's PID 1. */
  signal(signal: number): Promise<void>;
  exec(spec: ExecSpec): Promise<ExecSession>;
  /** Sets the size of the workload's terminal. */
  resize(size: TerminalSize): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  suspend?(): Promise<void>;
  /** One sandbox for each spec; the directories are there, and empty. */
  fork?(specs: readonly SandboxSpec[]): Promise<Sandbox[]>;
  stats(): Promise<SandboxStats>;
  /** Takes over what has changed of the workload's network while it runs; its cables are plugged in already. */
  changeNetwork(change: NetworkChange): Promise<void>;
  /** The processes behind the wall, as they are numbered there. */
  processes(): Promise<ProcessRow[]>;
  wait(): Promise<ExitStatus>;
  remove(options?: RemoveOptions): Promise<void>;
}

export interface RemoveOptions {
  /** The writable layer goes, too. */
  readonly discard: boolean;
}

/** All that a wall needs to know about one workload. Plain data: it is recorded, and `recover` gets it back. */
export interface SandboxSpec {
  /** 64 lower-case hexadecimal digits. */
  readonly id: string;
  /** For messages. */
  readonly name: string;
  /** Existing directory that outlives reboots; the wall keeps the writable layer in it (`upper/`, `disks/`…). */
  readonly directory: string;
  /** Directory for sockets, mounts and the bundle; short path, made by the wall, gone after a reboot. */
  readonly runtimeDirectory: string;
  /** EROFS files, bottom layer first. They stay readable and unchanged for as long as the sandbox lives. */
  readonly layers: readonly string[];
  readonly process: ProcessSpec;
  readonly hostname: string;
  /** Refuses writes to the root file system (`--read-only`). */
  readonly readOnlyRoot: boolean;
  readonly resources: Resources;
  /** Bytes that the writable layer may have; undefined: the wall's default (a VM's disk), or no limit. */
  readonly storageBytes?: number;
  /** Without it, the workload has loopback only. */
  readonly network?: SandboxNetwork;
  /** In the order in which they are mounted: parents before what is in them. */
  readonly mounts?: readonly SandboxMount[];
  /** Kernel parameters of the workload's own (`net.ipv4.ip_forward`), set before its first instruction. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** File that receives the output in the format of log.ts; appended to when it exists. */
  readonly logPath: string;
}

/** How a sandbox is connected. Not recorded: it is made anew for each start. */
export interface SandboxNetwork {
  /**
   * Path of the network name space that the sandbox joins: a container's processes live in it, for a virtual machine
   * QEMU does. Its cables are in it by the interfaces' names: set up for a container, bare and up for a virtual
   * machine, whose wall splices them to its network cards. Undefined: the host's own (container wall only).
   */
  readonly namespace: string | undefined;
  /**
   * Taps in the name space, for a virtual machine only: what is behind its network cards, in their order. There
   * may be more than interfaces: a card without a tap cannot be used while the machine runs. QEMU's user owns them.
   */
  readonly taps: readonly string[];
  /** What a virtual machine makes itself; a container finds its interfaces made. */
  readonly interfaces: readonly NetworkInterface[];
  readonly routes: readonly NetworkRoute[];
  /** Content of /etc/hosts and /etc/resolv.conf; without them, the workload knows itself and the host's resolvers. */
  readonly hosts?: string;
  readonly resolver?: string;
}

/** What has become of the network of a workload that runs; the cables have been plugged in and pulled already. */
export interface NetworkChange extends Omit<SandboxNetwork, "namespace" | "taps"> {
  /** Names of interfaces whose cables are new. */
  readonly added: readonly string[];
}

export interface NetworkInterface {
  /** As the workload sees it: `eth0`. */
  readonly name: string;
  /** Six bytes, in hexadecimal with colons. */
  readonly mac: string;
  readonly mtu?: number;
  /** Each with its prefix: `172.17.0.2/16`, `fd00::2/64`. */
  readonly addresses: readonly string[];
  /** Kernel parameters to set before the interface is up. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Which of the machine's network cards; as the interface's place in the list when not given. */
  readonly card?: number;
}

export interface NetworkRoute {
  /** `0.0.0.0/0`, `::/0`, `10.0.0.0/8`… */
  readonly destination: string;
  /** Without it, the destination is on the link. */
  readonly gateway?: string;
  /** The name of one of the interfaces. */
  readonly interface: string;
  readonly metric?: number;
}

export interface SandboxMount {
  readonly type: "bind" | "tmpfs";
  /** Path on the host, of a directory or a file; of no meaning for a tmpfs. */
  readonly source: string;
  /** Absolute path behind the wall; made when it does not exist. */
  readonly target: string;
  readonly readOnly: boolean;
  /** As of mount(8): `nosuid`, `nodev`, `noexec`; a tmpfs has `size=…`, `mode=…`, too. */
  readonly options: readonly string[];
}

export interface Resources {
  /** Bytes. A container's limit; a VM's memory size. 0: no limit for a container, the default size for a VM. */
  readonly memoryBytes: number;
  /** CPUs, as a number with a fraction (`--cpus`). 0: no limit for a container, the default count for a VM. */
  readonly cpus: number;
  /** Most processes at once; 0: no limit. */
  readonly pids: number;
}

export interface ProcessSpec {
  /** Program and arguments; the program is looked up in `PATH` of `env`, behind the wall. */
  readonly args: readonly string[];
  /** `NAME=value`, complete. */
  readonly env: readonly string[];
  /** Absolute; made when it does not exist. */
  readonly cwd: string;
  /** `""`, `name`, `uid`, `name:group`, `uid:gid`…; resolved against the image's /etc/passwd and /etc/group. */
  readonly user: string;
  /** Capability names (`CAP_CHOWN`), the bounding set; an unprivileged user keeps none of them effective. */
  readonly capabilities: readonly string[];
  /** Gives the process a terminal; its output is then one stream, `stdout`. */
  readonly terminal: boolean;
  /** Keeps standard input open for attachments; otherwise it reads end of file. */
  readonly stdin: boolean;
  /** The end of the first attachment that wrote to standard input ends it (Docker's StdinOnce). */
  readonly stdinOnce: boolean;
  /** First size of the terminal. */
  readonly size?: TerminalSize;
}

export interface ExecSpec {
  /** 64 lower-case hexadecimal digits. */
  readonly id: string;
  readonly process: ProcessSpec;
  /** Whether the session comes with an attachment that sees the output from its first byte (false: `exec -d`). */
  readonly attach: boolean;
}

export interface ExecSession {
  readonly attachment: Attachment | undefined;
  /** As numbered on the host for a container, in the guest for a VM. */
  readonly pid: number;
  resize(size: TerminalSize): Promise<void>;
  wait(): Promise<ExitStatus>;
}

export interface AttachOptions {
  /** Whether this attachment writes to standard input. */
  readonly stdin: boolean;
}

export interface OutputChunk {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
}

/** A live connection to a workload's standard streams. Several may be open at once; each sees all the output. */
export interface Attachment {
  /** Ends after the last byte once the process has ended, or after `detach`. To be consumed once. */
  readonly output: AsyncIterable<OutputChunk>;
  /** Resolves when more may be written (back-pressure). Writes after the process's end are dropped. */
  write(data: Uint8Array): Promise<void>;
  /** End of standard input. */
  endInput(): Promise<void>;
  /** Lets go; the workload goes on. */
  detach(): void;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface ExitStatus {
  /** 0-255; 128 + signal when a signal ended the workload. */
  readonly code: number;
  /** The kernel's out-of-memory killer ended a process of the workload. */
  readonly oomKilled: boolean;
  /** Milliseconds since the epoch. */
  readonly finishedAt: number;
}

export interface SandboxStats {
  /** Bytes as the wall counts them: the cgroup's usage for a container, `proportionalBytes` for a VM. */
  readonly memoryBytes: number;
  /**
   * Bytes the host spends: the proportional set size of all processes, the monitor's and QEMU's included, where what
   * is shared with other workloads counts in part. What the kernel keeps for them is not in it. Undefined for a
   * container of very many processes.
   */
  readonly proportionalBytes?: number;
  /** Bytes; 0 when unlimited. */
  readonly memoryLimitBytes: number;
  /** Processor time used since the start, in nanoseconds. */
  readonly cpuNanoseconds: number;
  /** Processes behind the wall. */
  readonly pids: number;
}

export interface ProcessRow {
  readonly pid: number;
  readonly parentPid: number;
  readonly user: string;
  readonly command: string;
}
