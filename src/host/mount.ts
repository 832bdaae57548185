/** Mounting and unmounting (mount(2), fsopen(2)). */

import { ptr } from "bun:ffi";
import { closeDescriptor } from "./descriptor.ts";
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

const fsconfigSetFlag = 0;
const fsconfigSetString = 1;
const fsconfigCreate = 6;
const closeOnExec = 1;
const emptyPath = 4;
const currentDirectory = BigInt(-100);

/**
 * Mounts by fsopen(2), whose options have no common size limit (mount(2) takes one page of them).
 * `options` are set in order; one without a value is a flag.
 */
export function mountWithOptions(
  type: string,
  target: string,
  options: readonly (readonly [name: string, value?: string])[],
): void {
  const typeName = cString(type);
  const context = check(
    libc.syscall(systemCall.fsopen, addressOf(typeName), closeOnExec, 0, 0, 0, 0),
    `fsopen ${type}`,
    target,
  );
  try {
    for (const [name, value] of options) configure(context, target, name, value);
    check(libc.syscall(systemCall.fsconfig, context, fsconfigCreate, 0, 0, 0, 0), `mount ${type}`, target);
    const mounted = check(
      libc.syscall(systemCall.fsmount, context, closeOnExec, 0, 0, 0, 0),
      `fsmount ${type}`,
      target,
    );
    try {
      const empty = cString("");
      const path = cString(target);
      check(
        libc.syscall(
          systemCall.moveMount,
          mounted,
          addressOf(empty),
          BigInt.asUintN(64, currentDirectory),
          addressOf(path),
          emptyPath,
          0,
        ),
        "move_mount",
        target,
      );
    } finally {
      closeDescriptor(mounted);
    }
  } finally {
    closeDescriptor(context);
  }
}

function configure(context: number, target: string, name: string, value: string | undefined): void {
  const key = cString(name);
  const text = value === undefined ? undefined : cString(value);
  check(
    libc.syscall(
      systemCall.fsconfig,
      context,
      text === undefined ? fsconfigSetFlag : fsconfigSetString,
      addressOf(key),
      text === undefined ? 0 : addressOf(text),
      0,
      0,
    ),
    `fsconfig ${name}`,
    target,
  );
}
