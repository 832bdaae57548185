/** Mounts of workloads as Docker's clients want to see them. */
import type { HostConfig, MountPoint } from "../../contract/docker.ts";
import type { MountRequest, WorkloadMount } from "../../engine/mounts/mount-request.ts";
import type { RunRequest } from "../../engine/request.ts";

export function mountPointOf(mount: WorkloadMount): MountPoint {
  const { type, source, target, readOnly, path } = mount;
  const common = { Type: type, Destination: target, Mode: modeOf(mount), RW: !readOnly };
  switch (type) {
    case "volume":
      return { ...common, Name: source, Source: path, Driver: "local", Propagation: "" };
    case "bind":
      return { ...common, Source: source, Propagation: mount.propagation || "rprivate" };
    case "tmpfs":
      return { ...common, Source: "", Propagation: "" };
  }
}

/** The options as they were given; Docker takes a volume without any for one that SELinux lets all share. */
function modeOf({ way, type, anonymous, ...options }: WorkloadMount): string {
  const given = way === "bind" ? bindOptions(options) : "";
  return given === "" && type === "volume" && !anonymous ? "z" : given;
}

/** Targets of the anonymous volumes that were asked for. */
export function volumesOf(mounts: readonly WorkloadMount[]): Record<string, Record<string, never>> | null {
  const own = mounts.filter(({ way }) => way === "volume");
  return own.length === 0 ? null : Object.fromEntries(own.map(({ target }) => [target, {}]));
}

/** The members of the host configuration that the mounts were asked for by. */
export function mountMembers({ mounts }: RunRequest): Pick<HostConfig, "Binds" | "Mounts" | "Tmpfs"> {
  const by = (way: MountRequest["way"]) => mounts.filter((mount) => mount.way === way);
  const [binds, own, tmpfs] = [by("bind"), by("mount"), by("tmpfs")];
  return {
    Binds: binds.length === 0 ? null : binds.map(bindText),
    ...(own.length === 0 ? {} : { Mounts: own.map(mountView) }),
    ...(tmpfs.length === 0
      ? {}
      : { Tmpfs: Object.fromEntries(tmpfs.map(({ target, options }) => [target, options.join(",")])) }),
  };
}

function bindText({ source, target, ...mount }: MountRequest): string {
  const options = bindOptions(mount);
  return [source, target, ...(options === "" ? [] : [options])].join(":");
}

function bindOptions({
  readOnly,
  noCopy,
  propagation,
}: Pick<MountRequest, "readOnly" | "noCopy" | "propagation">): string {
  return [readOnly ? "ro" : "", noCopy ? "nocopy" : "", propagation].filter((word) => word !== "").join(",");
}

function mountView(mount: MountRequest): NonNullable<HostConfig["Mounts"]>[number] {
  const { type, source, target, readOnly, subpath, noCopy, propagation, volume, options } = mount;
  const base = { Type: type, Source: source, Target: target, ReadOnly: readOnly };
  switch (type) {
    case "bind":
      return propagation === "" ? base : { ...base, BindOptions: { Propagation: propagation } };
    case "volume":
      return {
        ...base,
        VolumeOptions: {
          NoCopy: noCopy,
          Labels: volume.labels,
          ...(subpath === "" ? {} : { Subpath: subpath }),
          ...(volume.driver === "" && Object.keys(volume.options).length === 0
            ? {}
            : { DriverConfig: { Name: volume.driver, Options: volume.options } }),
        },
      };
    case "tmpfs":
      return { ...base, TmpfsOptions: { Options: options.map((option) => option.split("=")) } };
  }
}
