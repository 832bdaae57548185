/**
 * References to images, by Docker's grammar: `[domain/]path[:tag][@digest]`.
 * Source: distribution/reference, reference.go and normalize.go.
 */
import { HullError } from "../contract/errors.ts";
import { isDigest } from "./content/content-store.ts";
import type { Digest } from "./image-store.ts";

export interface Reference {
  /** `docker.io`, `localhost:5000`… */
  readonly domain: string;
  /** `library/alpine`. */
  readonly path: string;
  /** Undefined when the reference has none; `latest` is filled in only when there is no digest either. */
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

const hub = "docker.io";
const legacyDomain = "index.docker.io";
const officialPrefix = "library/";
const maxNameBytes = 255;

/** Where names without a host are looked for. */
let defaultDomain = hub;

/** Names without a host are of this registry from now on. To be called before any name is read. Throws `invalidReference`. */
export function useDefaultRegistry(domain: string): void {
  if (parseReference(`${domain}/x/x`).domain !== domain)
    throw new HullError("invalidReference", {
      value: JSON.stringify(domain),
      why: "it is not a registry's host",
    });
  defaultDomain = domain;
}

const component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const pathPattern = new RegExp(`^${component}(?:/${component})*$`);
const domainLabel = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const domainPattern = new RegExp(
  `^(?:${domainLabel}(?:\\.${domainLabel})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`,
);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

export function defaultRegistry(): string {
  return defaultDomain;
}

export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/** Throws `invalidReference`. */
export function parseReference(text: string): Reference {
  const fail = (why: string) => new HullError("invalidReference", { value: JSON.stringify(text), why });
  if (text === "") throw fail("it is empty");
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const named = at < 0 ? text : text.slice(0, at);
  if (digest !== undefined && !isDigest(digest)) throw fail("a digest is sha256: and 64 hexadecimal digits");
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const name = hasTag ? named.slice(0, colon) : named;
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagPattern.test(tag))
    throw fail("a tag has 1 to 128 letters, digits, underscores, dots and hyphens");
  if (name === "") throw fail("the name is missing");
  if (/^[0-9a-f]{64}$/.test(name)) throw fail("64 hexadecimal digits are an id, not a name");
  const { domain, path } = splitDomain(name);
  if (path !== path.toLowerCase()) throw fail("repository name must be lowercase");
  if (!domainPattern.test(domain)) throw fail(`${JSON.stringify(domain)} is not a registry's host`);
  if (!pathPattern.test(path))
    throw fail("a name has lower-case letters and digits, with dots, underscores or hyphens between them");
  if (domain.length + 1 + path.length > maxNameBytes)
    throw fail(`a name has at most ${maxNameBytes} characters`);
  return { domain, path, tag: tag ?? (digest === undefined ? "latest" : undefined), digest };
}

/** A name without tag and digest. Throws `invalidReference`. */
export function parseRepository(text: string): Reference {
  const reference = parseReference(text);
  const bare = reference.digest === undefined && text.lastIndexOf(":") <= text.lastIndexOf("/");
  if (bare) return reference;
  throw new HullError("invalidReference", {
    value: JSON.stringify(text),
    why: "all tags are meant, so the name has to be without a tag and a digest",
  });
}

/** The first part is a host if it looks like one: it has a dot, a port or capitals, or is `localhost`. */
function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  const domain = !isHost ? defaultDomain : first === legacyDomain ? hub : first;
  const rest = isHost ? name.slice(slash + 1) : name;
  const official = domain === hub && !rest.includes("/");
  return { domain, path: official ? `${officialPrefix}${rest}` : rest };
}

/** `docker.io/library/alpine`. */
export function canonicalName(reference: Pick<Reference, "domain" | "path">): string {
  return `${reference.domain}/${reference.path}`;
}

/** `alpine` for `docker.io/library/alpine`; what people read and write. */
export function familiarName(canonical: string): string {
  for (const prefix of [`${hub}/${officialPrefix}`, `${defaultDomain}/`]) {
    const short = canonical.slice(prefix.length);
    if (!canonical.startsWith(prefix) || short === "") continue;
    // What would be read as something else stays long.
    if (canonicalName(splitDomain(short)) === canonical) return short;
  }
  return canonical;
}

/** The familiar form of a whole reference. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
  return `${familiarName(canonicalName(reference))}${tag}${digest}`;
}
