/** Builds: POST /build, POST /build/prune, and the build cache in GET /system/df. */
import type { ProgressLine } from "./images.ts";

/** One line of POST /build. */
export interface BuildLine extends ProgressLine {
  /** `ID` is the image's. */
  readonly aux?: Readonly<Record<string, unknown>>;
}

/** POST /build/prune */
export interface BuildPruneReport {
  readonly CachesDeleted: readonly string[] | null;
  /** Bytes. */
  readonly SpaceReclaimed: number;
}

/** One row of BuildCache in GET /system/df. */
export interface BuildCacheItem {
  readonly ID: string;
  readonly Parent: string;
  readonly Parents: readonly string[];
  readonly Type: "regular";
  /** The instruction as the history tells it. */
  readonly Description: string;
  readonly InUse: boolean;
  /** An image has the layer, too. */
  readonly Shared: boolean;
  /** Bytes. */
  readonly Size: number;
  /** RFC 3339. */
  readonly CreatedAt: string;
  readonly LastUsedAt: string;
  readonly UsageCount: number;
}
