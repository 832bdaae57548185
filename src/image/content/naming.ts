/** What a failure of the store's is told with. */
import { HullError, isHullError } from "../../contract/errors.ts";

/** A full disk is told with what was being written, not with the name of a temporary file. */
export function naming(what: string, error: unknown): unknown {
  if (!isHullError(error, "noSpace")) return error;
  return new HullError("noSpace", { what, path: String(error.details.path ?? "") }, { cause: error });
}
