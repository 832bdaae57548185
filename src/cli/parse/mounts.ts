/** `--volume`, `--mount` and `--tmpfs`, as Docker's users write them. */
import { homedir } from "node:os";
import { resolve } from "node:path";
import type { HostConfigRequest } from "../../contract/docker.ts";
import { UsageError } from "./options.ts";
import { bytesOf } from "./values.ts";

export interface MountOptions {
  readonly volume: readonly string[];
  readonly mount: readonly string[];
  readonly tmpfs: readonly string[];
  readonly "volumes-from": readonly string[];
}

type MountView = NonNullable<HostConfigRequest["Mounts"]>[number];

/** Members of the request and of its host configuration. */
export function mountMembers(options: MountOptions): {
  readonly volumes: Readonly<Record<string, unknown>> | undefined;
  readonly host: Pick<HostConfigRequest, "Binds" | "Mounts" | "Tmpfs" | "VolumesFrom">;
} {
  const anonymous = options.volume.filter((spec) => !spec.includes(":"));
  return {
    volumes: anonymous.length === 0 ? undefined : Object.fromEntries(anonymous.map((target) => [target, {}])),
    host: {
      Binds: options.volume.filter((spec) => spec.includes(":")).map(bindOf),
      Mounts: options.mount.map(mountOf),
      Tmpfs: Object.fromEntries(
        options.tmpfs.map((spec) => {
          const [target = "", ...words] = spec.split(":");
          return [target, words.join(":")];
        }),
      ),
      VolumesFrom: options["volumes-from"],
    },
  };
}

/** A source that begins with a dot or a tilde is a path from where the client is. */
function bindOf(spec: string): string {
  const [source = "", ...rest] = spec.split(":");
  return [pathOf(source), ...rest].join(":");
}

function pathOf(source: string): string {
  if (source === "~" || source.startsWith("~/")) return resolve(homedir(), source.slice(2));
  return source === "." || source === ".." || /^\.{1,2}\//.test(source) ? resolve(source) : source;
}

/** `type=bind,source=/a,target=/b,readonly`: RFC 4180 fields, since Docker reads them as a line of CSV. */
function mountOf(spec: string): MountView {
  const fields = csvFields(spec).map((field) => {
    const equals = field.indexOf("=");
    return equals < 0
      ? { name: field.toLowerCase(), value: undefined }
      : { name: field.slice(0, equals).toLowerCase(), value: field.slice(equals + 1) };
  });
  const bind: Record<string, unknown> = {};
  const volume: Record<string, unknown> = {};
  const driver: { Name?: string; Options?: Record<string, string> } = {};
  let labels: Readonly<Record<string, string>> = {};
  const tmpfs: Record<string, unknown> = {};
  const mount: Record<string, unknown> = { Type: "volume" };
  const texts: Readonly<Record<string, (value: string) => void>> = {
    type: (value) => (mount.Type = value.toLowerCase()),
    source: (value) => (mount.Source = value),
    target: (value) => (mount.Target = value),
    consistency: (value) => (mount.Consistency = value),
    "bind-propagation": (value) => (bind.Propagation = value),
    "volume-driver": (value) => (driver.Name = value),
    "volume-subpath": (value) => (volume.Subpath = value),
    "volume-label": (value) => (labels = { ...labels, ...pair(spec, value) }),
    "volume-opt": (value) => (driver.Options = { ...driver.Options, ...pair(spec, value) }),
    "tmpfs-size": (value) => (tmpfs.SizeBytes = bytesOf("--mount tmpfs-size", value)),
    "tmpfs-mode": (value) => (tmpfs.Mode = octal(spec, value)),
  };
  const flags: Readonly<Record<string, (value: boolean) => void>> = {
    readonly: (value) => (mount.ReadOnly = value),
    "volume-nocopy": (value) => (volume.NoCopy = value),
    "bind-create-src": (value) => (bind.CreateMountpoint = value),
  };
  for (const { name, value } of fields) {
    const known = synonyms[name] ?? name;
    const flag = flags[known];
    if (flag !== undefined) flag(truth(spec, known, value));
    else if (texts[known] === undefined || value === undefined)
      throw invalid(spec, `${name} is no field, or has no value`);
    else texts[known](value);
  }
  if (mount.Target === undefined) throw invalid(spec, "it has no target");
  if (mount.Type === "bind" && typeof mount.Source === "string") mount.Source = pathOf(mount.Source);
  if (Object.keys(labels).length > 0) volume.Labels = labels;
  if (Object.keys(driver).length > 0) volume.DriverConfig = driver;
  return {
    ...mount,
    ...(Object.keys(bind).length === 0 ? {} : { BindOptions: bind }),
    ...(Object.keys(volume).length === 0 ? {} : { VolumeOptions: volume }),
    ...(Object.keys(tmpfs).length === 0 ? {} : { TmpfsOptions: tmpfs }),
  };
}

const synonyms: Readonly<Record<string, string>> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
};

function csvFields(line: string): string[] {
  const fields = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "",
  );
  if (fields.length === 0 || fields.includes(""))
    throw invalid(line, "a field of it is empty or badly quoted");
  return fields;
}

function truth(spec: string, name: string, value: string | undefined): boolean {
  if (value === undefined || ["true", "1"].includes(value)) return true;
  if (["false", "0"].includes(value)) return false;
  throw invalid(spec, `${name} is true or false`);
}

function pair(spec: string, value: string): Record<string, string> {
  const equals = value.indexOf("=");
  if (equals === 0) throw invalid(spec, `${value} has no name`);
  return equals < 0 ? { [value]: "" } : { [value.slice(0, equals)]: value.slice(equals + 1) };
}

function octal(spec: string, value: string): number {
  if (!/^[0-7]{1,4}$/.test(value)) throw invalid(spec, "tmpfs-mode is octal, such as 1777");
  return Number.parseInt(value, 8);
}

function invalid(spec: string, why: string): UsageError {
  return new UsageError(`invalid argument "${spec}" for --mount: ${why}`);
}
