/** How the configuration says that registries are reached. */

import { isAbsolute } from "node:path";
import * as v from "valibot";
import { dictionary } from "../contract/dictionary.ts";
import { useDefaultRegistry } from "../image/reference.ts";
import { takeProxies } from "../image/registry/proxy.ts";
import { defaultRegistrySettings, type RegistrySettings } from "../image/registry/settings.ts";

const host = v.pipe(v.string(), v.regex(/^[^/\s]+$/, "it needs to be HOST[:PORT]"));
const network = v.pipe(
  v.string(),
  v.regex(/^[^/\s]+(\/\d{1,3})?$/, "it needs to be HOST[:PORT] or a network"),
);
const url = v.pipe(
  v.string(),
  v.check(
    (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
    "it needs to be a URL of HTTPS or HTTP",
  ),
);
const count = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(most));

export const registriesSchema = v.strictObject({
  /** The registry of names without a host. */
  default: v.optional(host, "docker.io"),
  /** Hosts and networks (`10.0.0.0/8`) whose certificates are not checked, and that may speak plain HTTP. */
  insecure: v.optional(v.array(network), []),
  /** By the host as it stands in image names: what is asked before it, in order. */
  mirrors: v.optional(dictionary(v.array(url)), {}),
  /** Directories with a folder of certificates for each host. */
  certificates: v.optional(
    v.array(v.pipe(v.string(), v.check(isAbsolute, "it needs to be an absolute path"))),
    [...defaultRegistrySettings.certificateDirectories],
  ),
  /** Layers that are fetched at once, by all pulls together. */
  downloads: v.optional(count(64), defaultRegistrySettings.downloads),
  /** Blobs that are sent at once, by each push. */
  uploads: v.optional(count(64), defaultRegistrySettings.uploads),
});

/** Takes the proxies out of the environment, and names without a host are read as the configuration says. */
export function useRegistries(config: v.InferOutput<typeof registriesSchema>): RegistrySettings {
  useDefaultRegistry(config.default);
  const { insecure, mirrors, certificates, downloads, uploads } = config;
  const proxies = takeProxies(process.env);
  return {
    ...defaultRegistrySettings,
    ...{ insecure, mirrors, downloads, uploads, proxies },
    certificateDirectories: certificates,
  };
}
