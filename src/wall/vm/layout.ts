/** Where the files of one VM are, on the host and in the jail that its QEMU runs in. */

import { HullError } from "../../contract/errors.ts";
import { cgroupParent } from "../oci/cgroup-parent.ts";
import type { SandboxSpec } from "../wall.ts";

export interface VmLayout {
  /** The jail's bundle, see src/wall/oci/runtime.ts. */
  readonly bundle: string;
  /** The jail's root: empty but for the places things are mounted on. */
  readonly root: string;
  /** The daemon's sockets to QEMU; the jail sees the directory, and cannot write to it. */
  readonly sockets: string;
  readonly agentSocket: string;
  readonly monitorSocket: string;
  /** What QEMU saves its state of the devices through. */
  readonly stateSocket: string;
  /** What the guest's console and QEMU said, in the format of log.ts. */
  readonly console: string;
  /** Written before the agent is told to forget the exit. */
  readonly exit: string;
  /** There while the machine may stand still for its state to be saved. */
  readonly held: string;
  /** What `recover` needs beside the spec. */
  readonly state: string;
  /** Where a machine that waits for its image finds the layers, for a moment (pool/waiting.ts). */
  readonly layers: string;
  /** Directory of the writable layer, see disk.ts. */
  readonly disks: string;
}

/** Longest address of a unix socket (sun_path) without its final NUL. */
const socketPathLimit = 107;

export function layoutOf(spec: Pick<SandboxSpec, "runtimeDirectory" | "directory">): VmLayout {
  const { runtimeDirectory: runtime, directory } = spec;
  const layout = {
    bundle: `${runtime}/jail`,
    root: `${runtime}/root`,
    sockets: `${runtime}/vm`,
    agentSocket: `${runtime}/vm/agent`,
    monitorSocket: `${runtime}/vm/qmp`,
    stateSocket: `${runtime}/vm/state`,
    console: `${runtime}/console.log`,
    exit: `${runtime}/exit.json`,
    held: `${runtime}/held`,
    state: `${runtime}/state.json`,
    layers: `${directory}/layers`,
    disks: `${directory}/disks`,
  };
  if (Buffer.byteLength(layout.agentSocket) > socketPathLimit)
    throw new HullError("invalidParameter", {
      what: "state directory",
      value: runtime,
      why: `${layout.agentSocket} is longer than a socket's address may be (${socketPathLimit} bytes)`,
    });
  return layout;
}

/** The same in the jail. The descriptors are those that `createJail` hands on. */
export const jailed = {
  kernel: "/boot/vmlinux",
  initramfs: "/boot/initramfs.cpio",
  /** Where QEMU listens: the daemon made the sockets, and QEMU has no directory to make one in. */
  agentSocket: "fd=3",
  monitorSocket: "fd=4",
  memory: "/proc/self/fd/5",
  /** Number of the memory's descriptor; the next one is the state's. */
  memoryDescriptor: 5,
  /** For migrate-incoming. */
  devices: "fd:6",
  stateSocket: "/vm/state",
  sockets: "/vm",
  layers: "/layers",
  layer: (index: number): string => `/layers/${index}`,
  rehearsal: "/layers/rehearsal",
  disks: "/disks",
  discard: "/discard.so",
  thaw: "/hull-thaw",
  /** Volumes and binds are mounted below it, as `0`, `1`… */
  share: "/share",
} as const;

/** The jail's name to the OCI runtime. */
export function jailId(id: string): string {
  return `vm-${id}`;
}

/** The jail's control group. */
export function jailCgroup(id: string): string {
  return `${cgroupParent}/vm-${id}`;
}
