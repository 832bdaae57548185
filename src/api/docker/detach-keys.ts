/** Which keys let go of a terminal, as a client says. */
import { detachKeysOf } from "../../contract/detach-keys.ts";
import { HullError } from "../../contract/errors.ts";

export function parseDetachKeys(text: string): Uint8Array {
  const found = detachKeysOf(text);
  if (found !== undefined) return found;
  throw new HullError("invalidParameter", {
    what: "detach keys",
    value: text,
    why: "write single characters or ctrl-<letter>, separated by commas",
  });
}
