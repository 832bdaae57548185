/**
 * Network namespaces, held by descriptors. A namespace lives for as long as a process, a descriptor or a mount holds
 * it; the daemon holds one only until the sandbox's own processes do, so nothing of it can be left behind.
 *
 * Entering a namespace concerns the calling thread, the main one, and whatever it starts: so each visit is one run of
 * calls that wait for nothing, and ends at home.
 */
import { closeSync, openSync } from "node:fs";
import { check, libc } from "../libc.ts";
import { namespaceFlag, unshare } from "../namespace.ts";
import { errnoNameOf } from "../system-error.ts";
import { NetlinkSocket } from "./netlink.ts";
import { writeNetworkSetting } from "./sysctl.ts";

export class NetworkNamespace implements Disposable {
  #descriptor: number | undefined;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  get descriptor(): number {
    if (this.#descriptor === undefined) throw new Error("the network namespace has been let go");
    return this.#descriptor;
  }

  /** A path by which programs that the daemon starts can join it. */
  get path(): string {
    return `/proc/${process.pid}/fd/${this.descriptor}`;
  }

  /** Runs `work`, which has to be synchronous, inside. */
  within<T>(work: () => T): T {
    return visit(() => check(libc.setns(this.descriptor, namespaceFlag.network), "setns", this.path), work);
  }

  /** A socket to configure it with, from anywhere. */
  openSocket(): NetlinkSocket {
    return this.within(() => new NetlinkSocket());
  }

  [Symbol.dispose](): void {
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/** Makes a namespace with nothing but a loopback interface, which is down; `sysctls` (below net/) are set in it. */
export function makeNetworkNamespace(sysctls: Readonly<Record<string, string>> = {}): NetworkNamespace {
  return visit(
    () => unshare(namespaceFlag.network),
    () => {
      const namespace = new NetworkNamespace(openSync("/proc/thread-self/ns/net", "r"));
      setParameters(sysctls);
      return namespace;
    },
  );
}

/**
 * Sets kernel parameters (below net/) of the namespace that the calling thread is in. Some kernels are built without IPv6, or
 * without a setting.
 */
export function setParameters(sysctls: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(sysctls)) writeNetworkSetting(name, value);
}

/** The namespace that a process is in; undefined when the process is gone. */
export function networkNamespaceOf(pid: number): NetworkNamespace | undefined {
  return openNetworkNamespace(`/proc/${pid}/ns/net`);
}

/** The namespace at a path of /proc; undefined when its process is gone. */
export function openNetworkNamespace(path: string): NetworkNamespace | undefined {
  try {
    return new NetworkNamespace(openSync(path, "r"));
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(errnoNameOf(error) ?? "")) return undefined;
    throw error;
  }
}

let home: number | undefined;

function visit<T>(enter: () => void, work: () => T): T {
  home ??= openSync("/proc/thread-self/ns/net", "r");
  enter();
  try {
    return work();
  } finally {
    // A daemon that cannot come home would do everything after this in the wrong place.
    if (libc.setns(home, namespaceFlag.network) !== 0) process.abort();
  }
}
