/**
 * Options of the local driver (Docker's `docker volume create`, "Driver-specific options"): what mount(8) is given.
 * `type` is a file system type, `device` what is mounted, `o` a list of mount options.
 */
import { HullError } from "../contract/errors.ts";

export interface VolumeMount {
  /** As `mount -t`; `none` for a bind. */
  readonly type: string;
  readonly device: string;
  /** As `mount -o`. */
  readonly options: string;
}

const known = ["type", "device", "o"];
/** What a file system type looks like; mount(8) takes lists and negations too, which make no sense here. */
const typePattern = /^[a-z0-9][a-z0-9._-]{0,31}$/;

/** What there is to mount for these options; undefined: nothing, the files are in Hull's own directory. */
export function volumeMount(options: Readonly<Record<string, string>>): VolumeMount | undefined {
  for (const name of Object.keys(options))
    if (!known.includes(name))
      throw new HullError("invalidParameter", {
        what: "volume option",
        value: name,
        why: `the local driver has ${known.join(", ")}`,
      });
  const { type = "", device = "", o = "" } = options;
  if (type === "" && device === "" && o === "") return undefined;
  if (!typePattern.test(type))
    throw new HullError("invalidParameter", {
      what: "volume option type",
      value: JSON.stringify(type),
      why: "give the type of a file system, such as none (for a bind), tmpfs or nfs",
    });
  if (device === "")
    throw new HullError("invalidParameter", {
      what: "volume option device",
      value: '""',
      why: "say what to mount: a path, host:/path, or tmpfs",
    });
  for (const [name, value] of Object.entries({ device, o }))
    if (/[\0\n]/.test(value) || value.startsWith("-"))
      throw new HullError("invalidParameter", {
        what: `volume option ${name}`,
        value: JSON.stringify(value),
        why: "it has a control character, or begins with a hyphen",
      });
  return { type, device, options: o };
}
