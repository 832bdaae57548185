/** Layers as the database has them, parsed. */
import * as v from "valibot";
import { isDigest } from "../content/content-store.ts";
import type { Digest } from "../image-store.ts";

export const digestSchema = v.custom<Digest>((value) => typeof value === "string" && isDigest(value));

export const layerSchema = v.object({
  diffId: digestSchema,
  blob: digestSchema,
  blobBytes: v.number(),
  compression: v.picklist(["none", "gzip", "zstd", "xz"]),
  layerBytes: v.number(),
});
export const layersSchema = v.array(layerSchema);
