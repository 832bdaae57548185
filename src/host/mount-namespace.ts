/**
 * The daemon's own mount namespace. What Hull mounts (layers, roots of containers) is seen by Hull and by the
 * workloads it starts, never by the host, and is gone with the last of them.
 *
 * A namespace belongs to a thread, and a JavaScript runtime has many: so the main thread enters a new one, sets
 * it up, and executes the same program again, whose threads then all start inside. It keeps receiving the
 * host's mounts (it is the host's slave) but gives none back.
 */
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmdirSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { HullError } from "../contract/errors.ts";
import { detectCgroupLayout } from "./cgroup.ts";
import { execute } from "./execute.ts";
import { check, libc } from "./libc.ts";
import { mount, mountFlag, unmount } from "./mount.ts";
import { type MountInfo, parseMountInfo } from "./mount-info.ts";
import { namespaceFlag, namespaceOf, unshare } from "./namespace.ts";
import { errnoNameOf } from "./system-error.ts";

export interface PrivateMountsOptions {
  /** Made when missing; mounts below these stay inside the namespace. */
  readonly stateDirectory: string;
  readonly rootDirectory: string;
}

/** Environment variable that says which process was started again in which namespace. */
const marker = "HULL_MOUNT_NAMESPACE";
const cgroupRoot = "/sys/fs/cgroup";
let startedInside: boolean | undefined;
/** Environment variable, and the descriptor that it names: the mount table of the namespace that this one came from. */
const tableMarker = "HULL_HOST_MOUNT_TABLE";
let hostTable: number | undefined;

/**
 * To be called first thing in the program. Returns inside the private namespace; when called outside of it,
 * starts the program again and does not return. Throws `hostMissing` without the privilege.
 */
export function enterPrivateMountNamespace(options: PrivateMountsOptions): void {
  startAgainInPrivateMounts([options.stateDirectory, options.rootDirectory]);
}

/** As `enterPrivateMountNamespace`, for any number of directories that nobody else's mounts shall reach. */
export function startAgainInPrivateMounts(directories: readonly string[]): void {
  if (inPrivateMountNamespace()) return;
  // An open mount table stays that of the namespace that it was opened in.
  const table = openSync("/proc/self/mountinfo", "r");
  try {
    unshare(namespaceFlag.mount);
  } catch (error) {
    closeSync(table);
    if (errnoNameOf(error) !== "EPERM") throw error;
    throw new HullError(
      "hostMissing",
      { what: "the privilege to make mounts (CAP_SYS_ADMIN)", remedy: "run the daemon as root" },
      { cause: error },
    );
  }
  mount({ source: "none", target: "/", flags: mountFlag.slave | mountFlag.recursive });
  for (const directory of new Set(directories)) {
    mkdirSync(directory, { recursive: true });
    mount({ source: directory, target: directory, flags: mountFlag.bind | mountFlag.recursive });
    mount({ source: "none", target: directory, flags: mountFlag.private | mountFlag.recursive });
  }
  hideUnifiedHierarchy();
  setCloseOnExec(table, false);
  startAgain({ [marker]: markOfThisProcess(), [tableMarker]: String(table) });
}

/** Whether this program was started again in a namespace of its own. A program that it starts was not. */
export function inPrivateMountNamespace(): boolean {
  if (startedInside === undefined) {
    startedInside = process.env[marker] === markOfThisProcess();
    if (startedInside) {
      hostTable = Number(process.env[tableMarker]);
      setCloseOnExec(hostTable, true);
    }
  }
  delete process.env[marker];
  delete process.env[tableMarker];
  return startedInside;
}

/** What is mounted at this moment where this program was started from; nothing when it has no namespace of its own. */
export function hostMounts(): MountInfo[] {
  if (hostTable === undefined) return [];
  const parts: Buffer[] = [];
  for (let position = 0; ; ) {
    const part = Buffer.alloc(65_536);
    const length = readSync(hostTable, part, 0, part.length, position);
    if (length === 0) return parseMountInfo(Buffer.concat(parts).toString());
    parts.push(part.subarray(0, length));
    position += length;
  }
}

function setCloseOnExec(descriptor: number, close: boolean): void {
  const [setFlags, closeOnExec] = [2, 1];
  check(libc.fcntl(descriptor, setFlags, close ? closeOnExec : 0), "fcntl", "F_SETFD");
}

/** The process id stays the same when a program is started again, and is another in every program it starts. */
function markOfThisProcess(): string {
  return `${process.pid} ${namespaceOf("mnt", "self")}`;
}

/**
 * crun refuses a hybrid host whose v2 hierarchy has controllers, and one may get there at any time (often
 * hugetlb, when nobody has it mounted as v1). In this namespace a hybrid host shows its v1 hierarchies only,
 * which makes it a plain v1 host to crun. The host's own view stays as it is. On a v2 or a plain v1 host there
 * is nothing to do.
 */
function hideUnifiedHierarchy(): void {
  const layout = detectCgroupLayout();
  if (layout.kind !== "hybrid") return;
  const hidden = layout.v2?.mountPoint;
  const view = mkdtempSync(`${tmpdir()}/hull-cgroup-`);
  mount({
    source: "cgroup",
    target: view,
    type: "tmpfs",
    flags: mountFlag.noSuid | mountFlag.noDev | mountFlag.noExec,
    data: "mode=755",
  });
  for (const name of readdirSync(cgroupRoot)) {
    const path = `${cgroupRoot}/${name}`;
    if (path === hidden) continue;
    // `cpu -> cpu,cpuacct` and the like.
    if (lstatSync(path).isSymbolicLink()) symlinkSync(readlinkSync(path), `${view}/${name}`);
    else {
      mkdirSync(`${view}/${name}`);
      mount({ source: path, target: `${view}/${name}`, flags: mountFlag.bind });
    }
  }
  // The old tree goes first, or it would stay in the mount table below the view.
  unmount(cgroupRoot);
  if (hidden !== undefined && !hidden.startsWith(`${cgroupRoot}/`)) unmount(hidden);
  mount({ source: view, target: cgroupRoot, flags: mountFlag.move });
  rmdirSync(view);
}

/**
 * Executes the running program again with the very arguments the kernel gave it, whichever way it was started
 * (as a script of the runtime, or as a compiled single file, whose `process.argv` has a made-up path).
 */
function startAgain(extraEnvironment: Readonly<Record<string, string>>): never {
  const args = readFileSync("/proc/self/cmdline", "utf8").split("\0").slice(0, -1);
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined) env[name] = value;
  execute("/proc/self/exe", args, { ...env, ...extraEnvironment });
}
