/** Volumes, as the API shows them. */

export interface VolumeView {
  /** RFC 3339. */
  readonly CreatedAt: string;
  readonly Driver: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  /** Directory on the host. */
  readonly Mountpoint: string;
  readonly Name: string;
  readonly Options: Readonly<Record<string, string>> | null;
  readonly Scope: "local" | "global";
}

export interface VolumeWithUsage extends VolumeView {
  /** Bytes on the disk, and how many containers mount it. */
  readonly UsageData: { readonly Size: number; readonly RefCount: number };
}

/** POST /volumes/create */
export interface VolumeCreateRequest {
  readonly Name?: string | undefined;
  readonly Driver?: string | undefined;
  readonly DriverOpts?: Readonly<Record<string, string>> | undefined;
  readonly Labels?: Readonly<Record<string, string>> | undefined;
}

export interface VolumePruneResponse {
  readonly VolumesDeleted: readonly string[] | null;
  readonly SpaceReclaimed: number;
}
