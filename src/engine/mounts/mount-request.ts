/** Mounts as a client asks for them, and as a workload has them. Plain data: both are recorded. */
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";

export const mountTypes = ["bind", "volume", "tmpfs"] as const;
export type MountType = (typeof mountTypes)[number];

/** How mounts that the host makes later reach a bind: Docker's words; the workload's own never reach the host. */
export const propagations = ["", "private", "rprivate", "slave", "rslave"] as const;
export type Propagation = (typeof propagations)[number];

/** By which of Docker's members a mount was asked for: inspect shows it there again. */
const ways = ["bind", "mount", "tmpfs", "volume"] as const;

export const mountRequestSchema = v.object({
  type: v.picklist(mountTypes),
  /** A bind's absolute path on the host; a volume's name, empty for an anonymous one; nothing for a tmpfs. */
  source: v.string(),
  /** Absolute, without `.` and `..`. */
  target: v.string(),
  readOnly: v.boolean(),
  /** Makes a bind's directory when it is missing. */
  makeSource: v.boolean(),
  propagation: v.picklist(propagations),
  /** An empty volume does not get what the image has at the target. */
  noCopy: v.boolean(),
  /** Path in the volume that is mounted in place of the whole; empty: the whole. */
  subpath: v.string(),
  /** For a volume that is not there yet. */
  volume: v.object({
    driver: v.string(),
    options: dictionary(v.string()),
    labels: dictionary(v.string()),
  }),
  /** A tmpfs's, as of mount(8). */
  options: v.array(v.string()),
  way: v.picklist(ways),
});
export type MountRequest = Readonly<v.InferOutput<typeof mountRequestSchema>>;

export const workloadMountSchema = v.object({
  ...mountRequestSchema.entries,
  /** A volume that was made for this workload alone, and goes with it when asked. */
  anonymous: v.boolean(),
  /** Directory or file on the host that is mounted. */
  path: v.string(),
});
/** `source` is the volume's name, made up if need be. */
export type WorkloadMount = Readonly<v.InferOutput<typeof workloadMountSchema>>;
