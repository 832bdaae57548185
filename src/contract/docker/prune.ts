/** What was removed as being of no use. */
import type { ImageDeleteItem } from "./images.ts";

/** POST /images/prune */
export interface ImagePruneReport {
  readonly ImagesDeleted?: readonly ImageDeleteItem[] | null | undefined;
  /** Bytes. */
  readonly SpaceReclaimed: number;
}

/** POST /containers/prune */
export interface ContainerPruneReport {
  readonly ContainersDeleted?: readonly string[] | null | undefined;
  /** Bytes. */
  readonly SpaceReclaimed: number;
}
