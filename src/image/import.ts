/** `import`: a root file system's tar becomes an image of one layer. */
import { HullError } from "../contract/errors.ts";
import { applyChanges } from "./changes.ts";
import { emptyConfig, formatConfig } from "./config.ts";
import type { ContentStore } from "./content/content-store.ts";
import type { Digest, ImportOptions } from "./image-store.ts";
import { ingestLayer } from "./layer/ingest.ts";
import { parsePlatform } from "./platform.ts";
import type { ImageRecords } from "./records.ts";
import { canonicalName, parseReference } from "./reference.ts";
import { registerImage } from "./registration.ts";

/** Returns the new image's id. */
export async function importTar(
  content: ContentStore,
  records: ImageRecords,
  tar: ReadableStream<Uint8Array>,
  options: ImportOptions,
): Promise<Digest> {
  // Everything that may be wrong with the request is found before the first byte is read.
  const reference = options.reference === "" ? undefined : tagReference(options.reference);
  const platform = parsePlatform(options.platform);
  const created = new Date().toISOString();
  const config = applyChanges(emptyConfig(platform, created), options.changes);
  let received = 0;
  const layer = await ingestLayer(content, tar, {
    what: "the imported archive",
    onBytes: (bytes) => {
      received += bytes;
    },
  });
  if (received === 0) throw new HullError("corrupt", { what: "the imported archive", why: "it is empty" });
  const history = [{ created, createdBy: "", comment: options.message, emptyLayer: false }];
  return registerImage(content, records, {
    config: Buffer.from(formatConfig({ ...config, history }, platform, [layer.diffId])),
    manifest: undefined,
    layers: [layer],
    references: reference === undefined ? [] : [reference],
    digests: [],
  });
}

/** A reference that an image can be given: a name and a tag. Throws `invalidReference`. */
export function tagReference(text: string): { canonical: string; tag: string } {
  const reference = parseReference(text);
  if (reference.digest !== undefined || reference.tag === undefined)
    throw new HullError("invalidReference", {
      value: JSON.stringify(text),
      why: "an image cannot be named by a digest",
    });
  return { canonical: canonicalName(reference), tag: reference.tag };
}
