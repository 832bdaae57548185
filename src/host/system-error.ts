/** A failed call into the operating system: which call, on what, and the kernel's reason by name. */
import { constants } from "node:os";
import { HullError } from "../contract/errors.ts";

/** Linux's (asm-generic/errno-base.h, errno.h) that Node has no names for. */
const namesOfLinux = { ENOTBLK: 15, EUCLEAN: 117 };
/** Some numbers have two names (EAGAIN and EWOULDBLOCK): the first is the usual one. */
const errnoNames = new Map(
  Object.entries({ ...constants.errno, ...namesOfLinux })
    .map(([name, number]) => [number, name] as const)
    .reverse(),
);

export class SystemError extends Error {
  override readonly name = "SystemError";
  /** `ENOENT`, `EACCES`…, as Node's own errors have it. */
  readonly code: string;
  readonly errno: number;
  readonly call: string;
  readonly path: string;

  constructor(call: string, path: string, errno: number) {
    const code = errnoNames.get(errno) ?? `errno ${errno}`;
    super(`${call} ${path}: ${reasonOf(code)}`);
    this.code = code;
    this.errno = errno;
    this.call = call;
    this.path = path;
  }
}

/** The name of the errno (`ENOENT`) of an error thrown by `src/host` or by Node's own modules. */
export function errnoNameOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** Turns a failure while writing below `path` into the error a user can act on; others are given back as they are. */
export function explainWriteError(error: unknown, what: string, path: string): unknown {
  switch (errnoNameOf(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return new HullError("noSpace", { what, path }, { cause: error });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new HullError(
        "notWritable",
        { path, why: reasonOf(errnoNameOf(error) ?? "") },
        { cause: error },
      );
    default:
      return error;
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EBUSY: "device or resource busy",
  EEXIST: "file exists",
  EINVAL: "invalid argument",
  EISDIR: "is a directory",
  ELOOP: "too many levels of symbolic links",
  EMFILE: "too many open files",
  ENAMETOOLONG: "file name too long",
  ENODEV: "no such device",
  ENOENT: "no such file or directory",
  ENOMEM: "out of memory",
  ENOSPC: "no space left on device",
  ENOSYS: "not provided by this kernel",
  ENOTBLK: "block device required",
  ENOTDIR: "not a directory",
  EPERM: "operation not permitted",
  EROFS: "read-only file system",
  ESRCH: "no such process",
  ECONNREFUSED: "connection refused",
};

/** The kernel's reason in words. */
export function reasonOf(code: string): string {
  const reason = reasons[code];
  return reason === undefined ? code : `${reason} (${code})`;
}
