/** Which image a user means: by name, by digest, by id or the start of one, in Docker's order. */
import { HullError } from "../contract/errors.ts";
import { isDigest } from "./content/content-store.ts";
import type { Digest } from "./image-store.ts";
import type { ImageRecords, NamedDigest, NamedReference } from "./records.ts";
import { canonicalName, parseReference, type Reference } from "./reference.ts";

export interface Found {
  readonly id: Digest;
  /** How it was named: by a tag or digest that it has, or by its id. */
  readonly by: { readonly tag: NamedReference } | { readonly digest: NamedDigest } | "id";
}

/** Throws `noSuchImage`, `ambiguousName`, `invalidReference`. */
export function findImage(records: ImageRecords, text: string): Found {
  const found =
    findById(records, text, "whole") ?? findByName(records, text) ?? findById(records, text, "prefix");
  if (found === undefined) throw new HullError("noSuchImage", { name: text });
  return found;
}

function findByName(records: ImageRecords, text: string): Found | undefined {
  const reference = parseUnlessId(text);
  if (reference === undefined) return undefined;
  const canonical = canonicalName(reference);
  if (reference.digest !== undefined) {
    const digest = { canonical, digest: reference.digest };
    const id =
      records.byDigest(digest) ??
      (records.get(reference.digest)?.hidden === false ? reference.digest : undefined);
    return id && { id, by: { digest } };
  }
  const tag = { canonical, tag: reference.tag ?? "latest" };
  const id = records.byTag(tag);
  return id && { id, by: { tag } };
}

/** What is no valid name may still be the start of an id (`sha256:12ab`). */
function parseUnlessId(text: string): Reference | undefined {
  if (/^(sha256:)?[0-9a-f]{64}$/.test(text)) return undefined;
  return parseReference(text);
}

function findById(records: ImageRecords, text: string, how: "whole" | "prefix"): Found | undefined {
  const hex = text.startsWith("sha256:") ? text.slice("sha256:".length) : text;
  if (!/^[0-9a-f]{1,64}$/.test(hex)) return undefined;
  if (how === "whole") {
    const id = `sha256:${hex}`;
    return isDigest(id) && records.get(id)?.hidden === false ? { id, by: "id" } : undefined;
  }
  const [id, another] = records.idsWithPrefix(hex);
  if (another !== undefined) throw new HullError("ambiguousName", { what: "images", value: text });
  return id && { id, by: "id" };
}
