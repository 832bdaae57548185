/** Leases on files (fcntl(2), F_SETLEASE), as a question: who has the file open? Number: fcntl.h. */
import { check, libc } from "./libc.ts";
import { errnoNameOf } from "./system-error.ts";

const setLease = 1024;
const readLease = 0;
const noLease = 2;

/**
 * Whether anybody can still write to the file, through an open descriptor or a mapping. `descriptor` is open to read,
 * and whoever asks owns the file.
 */
export function isOpenForWriting(descriptor: number): boolean {
  try {
    check(libc.fcntl(descriptor, setLease, readLease), "fcntl", "F_SETLEASE");
  } catch (error) {
    if (errnoNameOf(error) === "EAGAIN") return true;
    throw error;
  }
  check(libc.fcntl(descriptor, setLease, noLease), "fcntl", "F_SETLEASE");
  return false;
}
