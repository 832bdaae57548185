/** What is asked from inside a workload, and how the answer is read. */
import { HullError } from "../contract/errors.ts";

/** What a workload sees of the world. */
export interface InsideView {
  /** Release of the kernel that answers system calls (`uname -r`). */
  readonly kernel: string;
  /** Processes in /proc, kernel threads included. */
  readonly processes: number;
  /** Effective capabilities of a process started by `exec`, as /proc writes them (hexadecimal mask). */
  readonly capabilities: bigint;
}

/** Keeps the workload alive while it is measured. */
export const idleCommand: readonly string[] = ["sleep", "3600"];

/** The first thing that is executed; its answer ends the time measured. */
export const readyCommand: readonly string[] = ["sh", "-c", "echo ready"];
export const readyAnswer = "ready\n";

/** Needs nothing of the image but a POSIX shell: every word is a shell built-in. */
export const viewCommand: readonly string[] = [
  "sh",
  "-c",
  `read -r release </proc/sys/kernel/osrelease
set -- /proc/[0-9]*
while read -r key value; do [ "$key" = CapEff: ] && capabilities=$value; done </proc/self/status
echo "$release $# $capabilities"`,
];

export function parseView(answer: string): InsideView {
  const match = /^(\S+) (\d+) ([0-9a-f]+)\n$/.exec(answer);
  if (match?.[1] === undefined || match[2] === undefined || match[3] === undefined)
    throw new HullError("internal", { what: `the probe in the workload answered ${JSON.stringify(answer)}` });
  return { kernel: match[1], processes: Number(match[2]), capabilities: BigInt(`0x${match[3]}`) };
}

/** Names of capabilities by bit. Source: include/uapi/linux/capability.h. */
const capabilityNames = [
  ...["chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"],
  ...[
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
  ],
  ...[
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
  ],
  ...[
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
  ],
  ...["mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf"],
  ...["checkpoint_restore"],
];

/** The names in a capability mask; bits that have no name yet are given as `cap_N`. */
export function namesOfCapabilities(mask: bigint): string[] {
  const names: string[] = [];
  for (let bit = 0; mask >> BigInt(bit) > 0n; bit++)
    if ((mask >> BigInt(bit)) & 1n) names.push(capabilityNames[bit] ?? `cap_${bit}`);
  return names;
}
