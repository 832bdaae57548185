/** What a registry says of its errors. Source: OCI distribution-spec, "Error Codes". */

import * as v from "valibot";
import { printable } from "../../contract/printable.ts";
import type { RegistryReply } from "./reply.ts";

/** Bytes of an error's or a token's JSON. */
export const maxReplyBytes = 1024 * 1024;

const errorsSchema = v.object({
  errors: v.array(v.object({ code: v.nullish(v.string(), ""), message: v.nullish(v.string(), "") })),
});
const detailsSchema = v.object({ details: v.string() });

/** What an error's body says, in the registry's words; its status otherwise. Reads the answer to its end. */
export async function explain(reply: RegistryReply): Promise<string> {
  const fallback = `it answers ${reply.status}`;
  const text = await reply.text(maxReplyBytes).catch(() => "");
  try {
    const json: unknown = JSON.parse(text);
    const parsed = v.safeParse(errorsSchema, json);
    // Token servers have a form of their own.
    if (!parsed.success) return printable(v.parse(detailsSchema, json).details) || fallback;
    const words = parsed.output.errors
      .map(({ code, message }) => message || code)
      .filter((word) => word !== "");
    return words.length > 0 ? printable(words.join("; ")) : fallback;
  } catch {
    return fallback;
  }
}
