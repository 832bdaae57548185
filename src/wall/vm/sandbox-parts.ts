/** What a sandbox of this wall is made of, and what is recorded of its machine. */
import type { OciContainer, OciRuntime } from "../oci/runtime.ts";
import type { ExitStatus, Sandbox, SandboxSpec } from "../wall.ts";
import type { VmLayout } from "./layout.ts";
import type { LiveMachine } from "./saved/hold.ts";

export interface SandboxParts {
  readonly spec: SandboxSpec;
  readonly layout: VmLayout;
  readonly runtime: OciRuntime;
  /** Undefined when there is no jail (any more). */
  readonly container: OciContainer | undefined;
  readonly state: MachineState;
  readonly exit: ExitStatus | undefined;
  readonly saver: MachineSaver;
  /** Called when the workload has started, and when it has ended, while there is its QEMU to look at. */
  readonly watch?: (moment: "started" | "ended") => void;
}

/** What of a machine is recorded beside its spec. */
export interface MachineState {
  readonly memoryBytes: number;
  /** Size of the log before this sandbox wrote to it. */
  readonly logStart: number;
  /** Bytes of the workload's stdout and stderr from before it was forked: they are in the parent's log. */
  readonly logOffset: readonly [number, number];
  /** See `placesOf`. */
  readonly layerPlaces: number | null;
  /** The writable disk began as a copy of the template's, and is in its place (arguments.ts). */
  readonly freshDisk: boolean;
  /** All of its cards have had taps since it was made, whether its workload has a network or not. */
  readonly wiredCards: boolean;
}

/** What the wall does for machines whose memory is saved. */
export interface MachineSaver {
  suspend(machine: LiveMachine, state: MachineState): Promise<void>;
  fork(
    machine: LiveMachine,
    state: MachineState,
    specs: readonly SandboxSpec[],
    received: readonly [number, number],
  ): Promise<Sandbox[]>;
}
