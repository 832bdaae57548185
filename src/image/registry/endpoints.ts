/** Where a registry is asked: its mirrors, then itself, each with the scheme and certificates it is spoken to with. */
import { HullError } from "../../contract/errors.ts";
import { certificatesFor, type TlsOptions } from "./certificates.ts";
import { RequestFailure } from "./failure.ts";
import { isLoopback } from "./loopback.ts";
import { inNetwork } from "./proxy.ts";
import type { RegistrySettings } from "./settings.ts";
import { send } from "./transport.ts";

export interface Endpoint {
  /** For messages. */
  readonly host: string;
  /** Ends in `/v2/`. */
  readonly base: URL;
  readonly tls: TlsOptions;
  readonly mirror: boolean;
  /** `user:password` of a mirror's URL; empty: none. */
  readonly credentials: string;
}

/** Docker Hub's registry has another name than its images. */
const hosts: Readonly<Record<string, string>> = { "docker.io": "registry-1.docker.io" };
/** Milliseconds that a host is given to show which scheme it speaks. */
const probeLimit = 10_000;

/** Whether plain HTTP is allowed: on this machine, and where the configuration says so. */
export function isInsecure(url: URL, settings: RegistrySettings): boolean {
  return isLoopback(url.hostname) || isListed(url, settings);
}

/**
 * Whether a registry at `from` may have us ask `url`. It names token servers and places of layers as it likes: plain HTTP
 * and this machine's own servers are for registries only that are here, or trusted so, themselves.
 */
export function mayLeadTo(url: URL, from: URL, settings: RegistrySettings): boolean {
  const trusted = isInsecure(from, settings);
  if (url.protocol === "https:") return trusted || !isLoopback(url.hostname);
  return url.protocol === "http:" && trusted && isInsecure(url, settings);
}

function isListed(url: URL, settings: RegistrySettings): boolean {
  const name = url.hostname.replace(/^\[|\]$/g, "");
  return settings.insecure.some((entry) => entry === url.host || entry === name || inNetwork(entry, name));
}

/** A host of this machine is checked once it has certificates; one that the configuration lists never is. */
export async function tlsFor(url: URL, settings: RegistrySettings): Promise<TlsOptions> {
  const { configured, tls } = await certificatesFor(settings.certificateDirectories, url.host);
  const verify = !isListed(url, settings) && (configured || !isLoopback(url.hostname));
  return { ...tls, rejectUnauthorized: verify };
}

/** The mirrors of `domain` as it stands in image names, in order. */
export async function mirrorsOf(domain: string, settings: RegistrySettings): Promise<Endpoint[]> {
  const configured = Object.hasOwn(settings.mirrors, domain) ? settings.mirrors[domain] : undefined;
  return Promise.all(
    (configured ?? []).map(async (text): Promise<Endpoint> => {
      const url = new URL(text);
      const words = [url.username, url.password].map(decodeURIComponent);
      const base = new URL(`${url.origin}${url.pathname.replace(/\/*$/, "")}/v2/`);
      const tls = await tlsFor(base, settings);
      const credentials = url.username === "" ? "" : words.join(":");
      return { host: base.host, base, tls, mirror: true, credentials };
    }),
  );
}

/** The registry itself. Throws `registry` when it speaks neither of the schemes that are allowed. */
export async function ownEndpoint(
  domain: string,
  settings: RegistrySettings,
  signal: AbortSignal,
): Promise<Endpoint> {
  const name = Object.hasOwn(hosts, domain) ? hosts[domain] : domain;
  const secure = new URL(`https://${name}/v2/`);
  const endpoint = (base: URL, tls: TlsOptions): Endpoint => ({
    host: domain,
    base,
    tls,
    mirror: false,
    credentials: "",
  });
  const { configured } = await certificatesFor(settings.certificateDirectories, secure.host);
  const tls = await tlsFor(secure, settings);
  if (!isInsecure(secure, settings) || (configured && tls.rejectUnauthorized)) return endpoint(secure, tls);
  const plain = new URL(`http://${name}/v2/`);
  // Somebody listens to the network, but not to this machine: there the likelier scheme comes first.
  const order = isLoopback(secure.hostname) ? [plain, secure] : [secure, plain];
  let failure: unknown;
  for (const base of order) {
    const problem = await probe(base, tls, settings, signal);
    if (problem === undefined) return endpoint(base, tls);
    failure ??= problem;
  }
  const why = failure instanceof Error ? failure.message : "it answers neither HTTPS nor HTTP";
  throw new HullError("registry", { host: domain, why }, { cause: failure });
}

/** Asks without any credentials whether HTTP is understood there; undefined: it is. */
async function probe(
  base: URL,
  tls: TlsOptions,
  settings: RegistrySettings,
  signal: AbortSignal,
): Promise<RequestFailure | undefined> {
  const limit = AbortSignal.timeout(probeLimit);
  try {
    const request = { method: "GET", url: base, headers: new Headers(), tls } as const;
    const reply = await send({ ...request, signal: AbortSignal.any([signal, limit]) }, settings);
    const status = reply.status;
    await reply.discard();
    // Servers that want TLS say so in words, or end the connection.
    if (base.protocol === "http:" && status === 400)
      return new RequestFailure("refused", `${base.host} answers 400 to plain HTTP`);
    return undefined;
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof RequestFailure) return error;
    return new RequestFailure("broken", `${base.host} does not answer in ${probeLimit / 1000} seconds`);
  }
}
