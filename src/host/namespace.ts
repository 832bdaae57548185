/** Kernel namespaces of the calling thread (unshare(2)). */
import { readlinkSync } from "node:fs";
import { check, libc } from "./libc.ts";

/** Flags of unshare(2), linux/sched.h. */
export const namespaceFlag = {
  mount: 0x0002_0000,
  cgroup: 0x0200_0000,
  uts: 0x0400_0000,
  ipc: 0x0800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  network: 0x4000_0000,
} as const;

/** Moves the calling thread (the main one) into new namespaces. Other threads stay where they are. */
export function unshare(flags: number): void {
  check(libc.unshare(flags), "unshare", `0x${flags.toString(16)}`);
}

/** The identity of a namespace of a process, such as `mnt:[4026531841]`. */
export function namespaceOf(kind: "mnt" | "net" | "pid" | "uts" | "ipc", pid: number | "self"): string {
  return readlinkSync(`/proc/${pid}/ns/${kind}`);
}
