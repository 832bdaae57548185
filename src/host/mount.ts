/** Mounting and unmounting (mount(2), umount2(2)). */

import { ptr } from "bun:ffi";
import { addressOf, check, cString, libc, systemCall } from "./libc.ts";

/** Flags of mount(2), linux/mount.h. */
export const mountFlag = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  remount: 32,
  bind: 4096,
  move: 8192,
  recursive: 16384,
  private: 1 << 18,
  slave: 1 << 19,
} as const;

export interface MountRequest {
  readonly source: string;
  readonly target: string;
  /** File system type; empty for bind mounts, moves and changes of propagation. */
  readonly type?: string;
  readonly flags?: number;
  readonly data?: string;
}

export function mount(request: MountRequest): void {
  const source = cString(request.source);
  const target = cString(request.target);
  const type = cString(request.type ?? "");
  const data = cString(request.data ?? "");
  check(
    libc.mount(
      ptr(source),
      ptr(target),
      request.type ? ptr(type) : null,
      request.flags ?? 0,
      request.data ? ptr(data) : null,
    ),
    request.type ? `mount ${request.type}` : "mount",
    request.target,
  );
}

/** Detaches a mount at once; what still uses it keeps it alive. Never follows a link. */
export function unmount(target: string): void {
  const detach = 2;
  const noFollow = 8;
  const path = cString(target);
  check(libc.umount2(ptr(path), detach | noFollow), "umount", target);
}

/** Makes a mount, given by a descriptor of its root, read-only with all that is mounted below it (mount_setattr(2)). */
export function makeReadOnly(descriptor: number, target: string): void {
  const [emptyPath, recursive] = [0x1000, 0x8000];
  // struct mount_attr: what is set (MOUNT_ATTR_RDONLY), what is cleared, propagation, a user namespace.
  const attributes = new BigUint64Array([1n, 0n, 0n, 0n]);
  const path = cString("");
  check(
    libc.syscall(
      systemCall.mountSetattr,
      descriptor,
      addressOf(path),
      emptyPath | recursive,
      addressOf(attributes),
      attributes.byteLength,
      0,
    ),
    "mount_setattr",
    target,
  );
}
