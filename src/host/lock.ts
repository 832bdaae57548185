/** Locks between processes (flock(2)): released by `close`, or by the kernel when the process dies. */
import { closeSync, openSync } from "node:fs";
import { libc } from "./libc.ts";

const exclusive = 2;
const nonBlocking = 4;

export interface Lock extends Disposable {
  readonly path: string;
  close(): void;
}

/** Takes the exclusive lock on a file, which is made when it does not exist; undefined when another holds it. */
export function tryLock(path: string): Lock | undefined {
  const descriptor = openSync(path, "a", 0o600);
  if (libc.flock(descriptor, exclusive | nonBlocking) !== 0) {
    closeSync(descriptor);
    return undefined;
  }
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    closeSync(descriptor);
  };
  return { path, close, [Symbol.dispose]: close };
}
