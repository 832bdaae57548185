/** The daemon's claim on its directories and its socket: one daemon each, whatever an earlier one left. */
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { HullError, messageOf } from "../contract/errors.ts";
import { tryLock } from "../host/lock.ts";

/** Makes a directory that only root may list, and sees to it that it can be written to. */
export function prepareDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o711 });
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new HullError("notWritable", { path, why: messageOf(error) }, { cause: error });
  }
}

/** Takes the directory for this process, until it ends. */
export function claimDirectory(path: string): Disposable {
  let lock: Disposable | undefined;
  try {
    lock = tryLock(`${path}/lock`);
  } catch (error) {
    throw new HullError("notWritable", { path, why: messageOf(error) }, { cause: error });
  }
  if (lock === undefined) throw new HullError("rootLocked", { path });
  return lock;
}

/** Makes way for a socket: one that a dead daemon left goes, a live one stays and is an error. */
export async function claimSocket(path: string): Promise<void> {
  const limit = 107;
  if (Buffer.byteLength(path) > limit)
    throw new HullError("tooLarge", {
      what: `the socket's path ${path}`,
      value: Buffer.byteLength(path),
      limit,
    });
  prepareDirectory(dirname(path));
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined && !there.isSocket())
    throw new HullError("notWritable", { path, why: "something is there that is no socket" });
  const answer = await tryConnect(path);
  if (answer === "listening")
    throw new HullError("conflict", {
      what: `another daemon listens on ${path}: stop it, or give this one another --socket`,
    });
  if (answer === "dead") rmSync(path, { force: true });
}

function tryConnect(path: string): Promise<"listening" | "dead" | "absent"> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve("listening");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") resolve("absent");
      else if (error.code === "ECONNREFUSED") resolve("dead");
      else
        reject(
          new HullError(
            "notWritable",
            { path, why: `it is there and no socket: ${messageOf(error)}` },
            { cause: error },
          ),
        );
    });
  });
}

/** Whoever may write to the socket is root on this host, so nobody but root and the group may. */
export function protectSocket(path: string, group: string | number | undefined): void {
  if (group !== undefined) chownSync(path, 0, typeof group === "number" ? group : groupId(group));
  chmodSync(path, 0o660);
}

function groupId(name: string): number {
  const line = readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((one) => one.startsWith(`${name}:`));
  const id = line?.split(":")[2];
  if (id === undefined)
    throw new HullError("invalidParameter", {
      what: "socketGroup",
      value: name,
      why: "there is no such group",
    });
  return Number(id);
}
