/** POST /images/prune */
import type { ImageDeleteItem } from "../../contract/docker.ts";
import { isHullError } from "../../contract/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { RemovedImage } from "../../image/image-store.ts";
import type { Exchange } from "../exchange.ts";
import { booleanFilter, parseFilters, passesAllLabels } from "./filters.ts";
import { isOlder } from "./image-list.ts";

export function deleteItemOf(item: RemovedImage): ImageDeleteItem {
  return "untagged" in item ? { Untagged: item.untagged } : { Deleted: item.deleted };
}

/** Images without a tag; with `dangling=false`, all that no workload uses. */
export async function pruneImages(engine: Engine, exchange: Exchange): Promise<void> {
  const filters = parseFilters(exchange, ["dangling", "label", "label!", "until"]);
  const everything = booleanFilter(filters, "dangling") === false;
  const older = isOlder(filters);
  const deleted: ImageDeleteItem[] = [];
  const before = await engine.images.usage();
  for (const image of await engine.images.list()) {
    if (engine.images.userOf(image.id) !== undefined) continue;
    if (!everything && image.references.length > 0) continue;
    if (!older(image) || !passesAllLabels(filters, image.config.labels)) continue;
    try {
      const removed = await engine.images.remove(image.id, { force: true });
      deleted.push(...removed.map(deleteItemOf));
    } catch (error) {
      // Somebody else has removed it meanwhile.
      if (!isHullError(error, "noSuchImage")) throw error;
    }
  }
  const after = await engine.images.usage();
  exchange.sendJson(200, {
    ImagesDeleted: deleted,
    SpaceReclaimed: Math.max(0, before.totalBytes - after.totalBytes),
  });
}
