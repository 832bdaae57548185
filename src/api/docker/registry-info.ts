/** What GET /info says of registries. */

import type { SystemInfo } from "../../contract/docker.ts";
import { ownMember } from "../../contract/own-member.ts";
import { defaultRegistry } from "../../image/reference.ts";
import type { RegistrySettings } from "../../image/registry/settings.ts";

type RegistryInfo = Pick<
  SystemInfo,
  "IndexServerAddress" | "RegistryConfig" | "HttpProxy" | "HttpsProxy" | "NoProxy"
>;

export function registryInfo(settings: RegistrySettings): RegistryInfo {
  const { insecure, mirrors, proxies } = settings;
  const domain = defaultRegistry();
  const networks = insecure.filter((entry) => entry.includes("/"));
  const hosts = insecure.filter((entry) => !entry.includes("/"));
  const names = new Set(["docker.io", ...hosts, ...Object.keys(mirrors)]);
  return {
    // What clients keep the credentials under for names without a host.
    IndexServerAddress: domain === "docker.io" ? "https://index.docker.io/v1/" : domain,
    RegistryConfig: {
      InsecureRegistryCIDRs: ["127.0.0.0/8", "::1/128", ...networks],
      IndexConfigs: Object.fromEntries(
        [...names].map((name) => [
          name,
          {
            Name: name,
            Mirrors: (ownMember(mirrors, name) ?? []).map(withoutUser),
            Secure: !hosts.includes(name),
            Official: name === "docker.io",
          },
        ]),
      ),
      Mirrors: (mirrors["docker.io"] ?? []).map(withoutUser),
    },
    HttpProxy: withoutUser(proxies.http),
    HttpsProxy: withoutUser(proxies.https),
    NoProxy: proxies.except,
  };
}

/** Credentials in a URL are nobody's business. */
function withoutUser(url: string): string {
  return url.replace(/^(https?:\/\/)[^/]*@/, "$1xxxxx:xxxxx@");
}
