/** HTTP proxies as the environment names them. Source: golang.org/x/net/http/httpproxy, which Docker's daemon follows. */
import { BlockList, isIP } from "node:net";
import { HullError } from "../../contract/errors.ts";
import { isLoopback } from "./loopback.ts";

export interface ProxySettings {
  /** URL of the proxy for plain HTTP; empty: none. */
  readonly http: string;
  readonly https: string;
  /** Hosts, domains, addresses and networks that are reached without a proxy, separated by commas. */
  readonly except: string;
}

export const noProxies: ProxySettings = { http: "", https: "", except: "" };

const variables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] as const;

/**
 * Reads the variables and takes them out of the environment: the runtime would follow them by rules of its own,
 * whatever is decided here for a request. Throws `invalidParameter`.
 */
export function takeProxies(environment: Record<string, string | undefined>): ProxySettings {
  const [http, httpLower, https, httpsLower, except, exceptLower] = variables.map((name) => {
    const value = environment[name] ?? "";
    delete environment[name];
    return value;
  });
  return {
    http: proxyUrl("HTTP_PROXY", http || httpLower || ""),
    https: proxyUrl("HTTPS_PROXY", https || httpsLower || ""),
    except: except || exceptLower || "",
  };
}

function proxyUrl(name: string, value: string): string {
  if (value === "") return "";
  const text = value.includes("://") ? value : `http://${value}`;
  const valid = URL.canParse(text) && ["http:", "https:"].includes(new URL(text).protocol);
  if (!valid)
    throw new HullError("invalidParameter", {
      what: name,
      value: value.replace(/^(\w+:\/\/)?[^/]*@/, "$1…@"),
      why: "use http://HOST:PORT",
    });
  return text;
}

/** The URL of the proxy to use for `url`; undefined: none. */
export function proxyFor(url: URL, settings: ProxySettings): string | undefined {
  const proxy = url.protocol === "https:" ? settings.https : settings.http;
  if (proxy === "" || isLoopback(url.hostname)) return undefined;
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const exempt = settings.except
    .split(",")
    .map((word) => word.trim().toLowerCase())
    .some((word) => word !== "" && exempts(word, host, port));
  return exempt ? undefined : proxy;
}

function exempts(word: string, host: string, port: string): boolean {
  if (word === "*") return true;
  if (word.includes("/")) return inNetwork(word, host);
  const [, name = word, wantedPort] = /^(.*?)(?::(\d+))?$/.exec(isIP(word) === 6 ? `[${word}]` : word) ?? [];
  if (wantedPort !== undefined && wantedPort !== port) return false;
  const bare = name.replace(/^\[|\]$/g, "").replace(/^\*\./, ".");
  // The ends of an address mean nothing.
  if (isIP(host) !== 0) return host === bare;
  return bare.startsWith(".") ? host.endsWith(bare) : host === bare || host.endsWith(`.${bare}`);
}

/** Whether an address (not a name) lies in a network such as `10.0.0.0/8`. */
export function inNetwork(network: string, host: string): boolean {
  const [address = "", bits = ""] = network.split("/");
  const family = isIP(address);
  if (family === 0 || isIP(host) !== family || !/^\d{1,3}$/.test(bits)) return false;
  if (Number(bits) > (family === 4 ? 32 : 128)) return false;
  const type = family === 4 ? "ipv4" : "ipv6";
  const list = new BlockList();
  list.addSubnet(address, Number(bits), type);
  return list.check(host, type);
}
