/** The tags of a repository. Source: OCI distribution-spec 1.1, "Listing Tags". */
import * as v from "valibot";
import { HullError } from "../../contract/errors.ts";
import { parseJson } from "../config.ts";
import { canonicalName, familiarName, isTag } from "../reference.ts";
import { type RegistryClient, RegistryNotFound } from "./client.ts";

const maxPageBytes = 4 * 1024 * 1024;
/** A repository with more is not meant to be pulled whole. */
const maxTags = 10_000;

const pageSchema = v.object({ tags: v.nullish(v.array(v.string()), []) });

/** Throws `manifestUnknown` when there is no such repository, `tooLarge`, and as the client does. */
export async function listTags(client: RegistryClient): Promise<string[]> {
  const name = familiarName(canonicalName(client));
  const what = `the tags of ${name}`;
  const tags: string[] = [];
  try {
    for (let page: string | undefined = "tags/list?n=1000"; page !== undefined; ) {
      const reply = await client.read(page, what);
      const json = await reply.text(maxPageBytes);
      const before = tags.length;
      tags.push(...parseJson(pageSchema, json, what).tags.filter(isTag));
      if (tags.length > maxTags)
        throw new HullError("tooLarge", { what, value: `more than ${maxTags}`, limit: maxTags });
      page = nextPage(reply.header("link"), tags.length - before);
    }
  } catch (error) {
    if (!(error instanceof RegistryNotFound)) throw error;
    throw new HullError("manifestUnknown", { reference: name, why: `: ${error.message}` }, { cause: error });
  }
  return [...new Set(tags)];
}

/** Of `<…?last=b&n=2>; rel="next"` only the query is taken: the rest is known. */
function nextPage(link: string | undefined, brought: number): string | undefined {
  const [, query] = /<[^>?]*\?([^>]*)>\s*;\s*rel="?next"?/.exec(link ?? "") ?? [];
  // A page that brought nothing has no next one.
  return query === undefined || brought === 0 ? undefined : `tags/list?${query}`;
}
