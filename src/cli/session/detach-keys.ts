/** `--detach-keys`. */
import { detachKeysOf } from "../../contract/detach-keys.ts";
import { UsageError } from "../parse/options.ts";

export function parseDetachKeys(keys: string): Uint8Array {
  const found = detachKeysOf(keys);
  if (found !== undefined) return found;
  throw new UsageError(
    `invalid argument "${keys}" for --detach-keys: use letters or ctrl-LETTER, separated by commas`,
  );
}
