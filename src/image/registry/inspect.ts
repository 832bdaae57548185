/** What a registry has under a name, without pulling it: for GET /distribution/{name}/json. */
import * as v from "valibot";
import { parseJson } from "../config.ts";
import type { RegistryAuth, RemoteImage } from "../image-store.ts";
import { whyArtifact } from "../manifest.ts";
import { formatReference, parseReference } from "../reference.ts";
import { fetchConfig } from "./blobs.ts";
import { RegistryClient } from "./client.ts";
import { fetchTop } from "./documents.ts";
import type { RegistrySettings } from "./settings.ts";

const platformSchema = v.object({
  os: v.optional(v.string(), ""),
  architecture: v.optional(v.string(), ""),
  variant: v.optional(v.string(), ""),
});

export async function inspectRemote(
  settings: RegistrySettings,
  text: string,
  options: { readonly auth?: RegistryAuth | undefined; readonly signal: AbortSignal },
): Promise<RemoteImage> {
  const reference = parseReference(text);
  const client = await RegistryClient.open(reference, { ...options, settings, actions: "pull" });
  const { document, digest, bytes, mediaType } = await fetchTop(client, reference);
  const found = { digest, mediaType, size: bytes.length };
  if (document.kind === "index")
    return {
      ...found,
      platforms: document.manifests.flatMap(({ platform }) => (platform === undefined ? [] : [platform])),
    };
  if (whyArtifact(document) !== undefined) return { ...found, platforms: [] };
  const name = formatReference(reference);
  const config = await fetchConfig(client, document.config, name);
  return {
    ...found,
    platforms: [parseJson(platformSchema, config.toString("utf8"), `the config of ${name}`)],
  };
}
