/** Docker's five ways to ask for mounts, checked and translated to the engine's one. */
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import { HullError } from "../../contract/errors.ts";
import { type MountRequest, type Propagation, propagations } from "../../engine/mounts/mount-request.ts";
import { anonymousVolume, mountTarget, plainVolume } from "../../engine/mounts/resolve-mounts.ts";
import { isEmptyStructure } from "./options.ts";

const text = v.nullish(v.string(), "");
const flag = v.nullish(v.boolean(), false);
const count = v.nullish(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), 0);
/** Permissions, and the three bits above them. */
const mode = v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0o7777)), 0);
const texts = v.nullish(dictionary(v.string()), {});

export const mountBody = v.looseObject({
  Type: text,
  Source: text,
  Target: text,
  ReadOnly: flag,
  Consistency: text,
  BindOptions: v.nullish(
    v.looseObject({
      Propagation: text,
      NonRecursive: flag,
      CreateMountpoint: flag,
      ReadOnlyNonRecursive: flag,
      ReadOnlyForceRecursive: flag,
    }),
  ),
  VolumeOptions: v.nullish(
    v.looseObject({
      NoCopy: flag,
      Labels: texts,
      DriverConfig: v.nullish(v.object({ Name: text, Options: texts })),
      Subpath: text,
    }),
  ),
  TmpfsOptions: v.nullish(
    v.looseObject({ SizeBytes: count, Mode: mode, Options: v.nullish(v.array(v.array(v.string())), []) }),
  ),
});
type MountBody = v.InferOutput<typeof mountBody>;

interface MountMembers {
  readonly binds: readonly string[];
  readonly mounts: readonly MountBody[];
  readonly tmpfs: Readonly<Record<string, string>>;
  /** Targets of anonymous volumes. */
  readonly volumes: readonly string[];
}

export function translateMounts(members: MountMembers): MountRequest[] {
  const asked = [
    ...members.binds.map(bindOf),
    ...members.mounts.map(mountOf),
    ...Object.entries(members.tmpfs).map(([target, options]) => tmpfsOf(target, options)),
  ];
  const taken = new Set(asked.map(({ target }) => target));
  // Clients name a bind's target among the volumes, too.
  const anonymous = members.volumes.map(mountTarget).filter((target) => !taken.has(target));
  return [...asked, ...anonymous.map(anonymousVolume)];
}

function invalid(what: string, value: string, why: string): HullError {
  return new HullError("invalidParameter", { what, value: JSON.stringify(value), why });
}

/** `SOURCE:TARGET[:OPTION,…]`: a source that begins with a slash is a path of the host, any other a volume. */
function bindOf(spec: string): MountRequest {
  const [source = "", target = "", options = "", more] = spec.split(":");
  if (source === "" || target === "" || more !== undefined)
    throw invalid("bind", spec, "write SOURCE:TARGET or SOURCE:TARGET:OPTIONS");
  const isPath = source.startsWith("/");
  if (!isPath && /^[.~]|\//.test(source))
    throw invalid("bind", spec, "the source is an absolute path of the host, or the name of a volume");
  const words = options === "" ? [] : options.split(",");
  for (const word of words) requireBindOption(spec, word, isPath);
  return {
    ...anonymousVolume(mountTarget(target)),
    type: isPath ? "bind" : "volume",
    source: isPath ? mountSource(source) : source,
    readOnly: words.includes("ro"),
    makeSource: isPath,
    noCopy: words.includes("nocopy"),
    propagation: propagationOf(words.find((word) => /(private|slave|shared)$/.test(word)) ?? ""),
    way: "bind",
  };
}

/** Labels of SELinux, which does nothing where it is off, and promises of other hosts' file systems. */
const withoutEffect = ["rw", "z", "Z", "cached", "delegated", "consistent", "default", "volume-nocopy"];

function requireBindOption(spec: string, word: string, isPath: boolean): void {
  if (word === "ro" || withoutEffect.includes(word)) return;
  if (/^r?(private|slave|shared)$/.test(word) && isPath) return;
  if (word === "nocopy" && !isPath) return;
  throw invalid("bind", spec, `${word} is no option of a ${isPath ? "bind" : "volume"}`);
}

function propagationOf(word: string): Propagation {
  const known = propagations.find((propagation) => propagation === word);
  if (known !== undefined) return known;
  throw new HullError("unsupported", {
    what: `the propagation ${word}`,
    where: "",
    why: "mounts of a workload never reach the host: use rslave or rprivate",
  });
}

function mountSource(source: string): string {
  if (!source.startsWith("/") || source.includes("\0"))
    throw invalid("mount source", source, "it needs to be an absolute path");
  return source.replace(/(?<=.)\/+$/, "");
}

function mountOf(body: MountBody): MountRequest {
  const { Type, Source, BindOptions, VolumeOptions, TmpfsOptions } = body;
  const target = mountTarget(body.Target);
  const plain = { ...anonymousVolume(target), readOnly: body.ReadOnly, way: "mount" as const };
  const others = { BindOptions, VolumeOptions, TmpfsOptions };
  switch (Type) {
    case "bind":
      refuseOptionsOf(Type, others, "BindOptions");
      if (BindOptions?.NonRecursive || BindOptions?.ReadOnlyNonRecursive)
        throw new HullError("unsupported", {
          what: "BindOptions.NonRecursive",
          where: "",
          why: "what is mounted below a directory comes with it, and is read-only with it",
        });
      return {
        ...plain,
        type: "bind",
        source: mountSource(Source),
        makeSource: BindOptions?.CreateMountpoint ?? false,
        propagation: propagationOf(BindOptions?.Propagation ?? ""),
      };
    case "volume": {
      refuseOptionsOf(Type, others, "VolumeOptions");
      const { Name = "", Options = {} } = VolumeOptions?.DriverConfig ?? {};
      return {
        ...plain,
        type: "volume",
        source: Source,
        noCopy: VolumeOptions?.NoCopy ?? false,
        subpath: subpathOf(VolumeOptions?.Subpath ?? ""),
        volume: { driver: Name, options: Options, labels: VolumeOptions?.Labels ?? {} },
      };
    }
    case "tmpfs":
      refuseOptionsOf(Type, others, "TmpfsOptions");
      if (Source !== "") throw invalid("mount source", Source, "a tmpfs has none");
      return { ...plain, type: "tmpfs", options: tmpfsOptions(TmpfsOptions) };
    default:
      throw invalid("mount type", Type, "use bind, volume or tmpfs");
  }
}

function refuseOptionsOf(type: string, options: Readonly<Record<string, unknown>>, own: string): void {
  for (const [name, value] of Object.entries(options))
    if (name !== own && !isEmptyStructure(value))
      throw invalid(name, type, `a ${type} mount has none of them`);
}

function subpathOf(path: string): string {
  if (path.startsWith("/") || path.split("/").includes(".."))
    throw invalid("volume subpath", path, "it is relative to the volume, and stays in it");
  return path;
}

/** Without options, as Docker has it: nothing on it is executed, is a device, or gives a user id. */
const tmpfsDefaults = ["nosuid", "nodev", "noexec"];

function tmpfsOptions(options: MountBody["TmpfsOptions"]): string[] {
  const { SizeBytes = 0, Mode = 0, Options = [] } = options ?? {};
  return [
    ...tmpfsDefaults.filter((word) => !Options.flat().includes(word.replace("no", ""))),
    ...(SizeBytes > 0 ? [`size=${SizeBytes}`] : []),
    ...(Mode > 0 ? [`mode=${Mode.toString(8)}`] : []),
    ...Options.map((words) => tmpfsOption(words.join("="))),
  ];
}

function tmpfsOf(target: string, options: string): MountRequest {
  const words = options === "" ? [] : options.split(",").map(tmpfsOption);
  const defaults = tmpfsDefaults.filter((word) => !words.includes(word.replace("no", "")));
  return {
    ...anonymousVolume(mountTarget(target)),
    type: "tmpfs",
    volume: plainVolume,
    readOnly: words.includes("ro"),
    options: [...new Set([...defaults, ...words.filter((word) => word !== "ro" && word !== "rw")])],
    way: "tmpfs",
  };
}

/** tmpfs(5) and mount(8), as far as both walls have them. */
const tmpfsPattern =
  /^(ro|rw|(no)?(exec|suid|dev|atime|diratime)|size=\d+[kmgKMG%]?|mode=[0-7]{1,4}|uid=\d{1,10}|gid=\d{1,10}|nr_inodes=\d+[kmgKMG]?|nr_blocks=\d+[kmgKMG]?)$/;

function tmpfsOption(word: string): string {
  if (tmpfsPattern.test(word)) return word;
  throw invalid(
    "tmpfs option",
    word,
    "use size, mode, uid, gid, nr_inodes, ro, exec, suid, dev and their opposites",
  );
}
