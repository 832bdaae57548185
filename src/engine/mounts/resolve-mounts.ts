/**
 * Which mounts a workload has, of all that a request and an image say: Docker's order (moby, daemon/volumes_unix.go).
 * What is named later takes the place of what was at the same target: mounts of other workloads, then the
 * request's own, then the image's volumes where nothing is.
 */
import { randomBytes } from "node:crypto";
import { posix } from "node:path";
import { HullError } from "../../contract/errors.ts";
import type { MountRequest, WorkloadMount } from "./mount-request.ts";

export interface MountFacts {
  /** Volumes of the image's config. */
  readonly imageVolumes: readonly string[];
  /** The mounts of a workload, by its name or id. */
  readonly mountsOf: (workload: string) => readonly WorkloadMount[];
  /** Directory of a volume's files. */
  readonly directoryOf: (volume: string) => string;
  /** Where the workload's own parts of volumes are mounted. */
  readonly places: string;
}

export const plainVolume = { driver: "", options: {}, labels: {} } as const;

export function resolveMounts(
  requests: readonly MountRequest[],
  volumesFrom: readonly string[],
  facts: MountFacts,
): WorkloadMount[] {
  const byTarget = new Map<string, WorkloadMount>();
  const asked = new Set<string>();
  for (const mount of volumesFrom.flatMap((word) => inherited(word, facts)))
    byTarget.set(mount.target, mount);
  for (const request of requests) {
    if (asked.has(request.target))
      throw new HullError("invalidParameter", {
        what: "mount target",
        value: request.target,
        why: "two mounts have it: leave one out",
      });
    asked.add(request.target);
    byTarget.set(request.target, named(request));
  }
  for (const path of facts.imageVolumes) {
    const target = mountTarget(path);
    if (!byTarget.has(target)) byTarget.set(target, named(anonymousVolume(target)));
  }
  const mounts = [...byTarget.values()].sort((a, b) => depth(a.target) - depth(b.target));
  return mounts.map((mount, index) => ({ ...mount, path: pathOf(mount, index, facts) }));
}

/** An absolute path without `.`, `..` and doubled slashes. Throws `invalidParameter`. */
export function mountTarget(path: string): string {
  const normal = posix.normalize(path).replace(/(?<=.)\/$/, "");
  if (path.startsWith("/") && normal !== "/" && !path.includes("\0")) return normal;
  throw new HullError("invalidParameter", {
    what: "mount target",
    value: JSON.stringify(path),
    why: "it needs to be an absolute path, and not the root",
  });
}

export function anonymousVolume(target: string): MountRequest {
  return {
    type: "volume",
    source: "",
    target,
    readOnly: false,
    makeSource: false,
    propagation: "",
    noCopy: false,
    subpath: "",
    volume: plainVolume,
    options: [],
    way: "volume",
  };
}

/** `NAME`, `NAME:ro` or `NAME:rw`. */
function inherited(word: string, facts: MountFacts): WorkloadMount[] {
  const [workload = "", mode = "rw"] = word.split(":");
  if (mode !== "ro" && mode !== "rw")
    throw new HullError("invalidParameter", {
      what: "volumes-from",
      value: word,
      why: "write NAME, NAME:ro or NAME:rw",
    });
  return facts
    .mountsOf(workload)
    .filter(({ type }) => type !== "tmpfs")
    .map((mount) => ({
      ...mount,
      // A volume that another workload came with is not this one's to remove.
      anonymous: false,
      readOnly: mount.readOnly || mode === "ro",
    }));
}

function named(request: MountRequest): WorkloadMount {
  const anonymous = request.type === "volume" && request.source === "";
  return {
    ...request,
    source: anonymous ? randomBytes(32).toString("hex") : request.source,
    anonymous,
    path: "",
  };
}

function pathOf(mount: WorkloadMount, index: number, facts: MountFacts): string {
  if (mount.type === "tmpfs") return "";
  if (mount.type === "bind") return mount.source;
  return mount.subpath === "" ? facts.directoryOf(mount.source) : `${facts.places}/${index}`;
}

function depth(target: string): number {
  return target.split("/").length;
}
