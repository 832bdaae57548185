/** How registries are reached: what the daemon's configuration and environment say of them. */
import { noProxies, type ProxySettings } from "./proxy.ts";

export interface RegistrySettings {
  /** Hosts (`name`, `name:port`) and networks (`10.0.0.0/8`) whose certificates are not checked, and that may speak plain HTTP. */
  readonly insecure: readonly string[];
  /** By the host as it stands in image names: URLs that are asked before it, in order. */
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  /** Directories with a folder of certificates for each `HOST[:PORT]`; the first that has one counts. */
  readonly certificateDirectories: readonly string[];
  /** Layers that are fetched at once, by all pulls together. */
  readonly downloads: number;
  /** Blobs that are sent at once, by each push. */
  readonly uploads: number;
  /** Larger blobs are sent in chunks of so many bytes, so that an upload that breaks off goes on from there. */
  readonly uploadChunkBytes: number;
  readonly proxies: ProxySettings;
  readonly patience: Patience;
}

export interface Patience {
  /** Attempts in a row that bring nothing, before a request fails for good. */
  readonly attempts: number;
  /** Milliseconds before the second attempt; doubled for each further one. */
  readonly backoff: number;
  /** Most milliseconds that a registry may ask to wait before the next attempt. */
  readonly longestWait: number;
  /** In every stretch of waiting this long, in milliseconds, at least so many bytes have to come or go. */
  readonly stall: { readonly milliseconds: number; readonly bytes: number };
}

export const defaultRegistrySettings: RegistrySettings = {
  insecure: [],
  mirrors: {},
  certificateDirectories: ["/etc/hull/certs.d", "/etc/docker/certs.d"],
  downloads: 3,
  uploads: 5,
  uploadChunkBytes: 64 * 1024 * 1024,
  proxies: noProxies,
  patience: {
    attempts: 5,
    backoff: 500,
    longestWait: 60_000,
    stall: { milliseconds: 60_000, bytes: 16 * 1024 },
  },
};
