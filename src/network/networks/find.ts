/** How a client's word for a network is understood. */
import { HullError } from "../../contract/errors.ts";
import type { NetworkRecord } from "../records/types.ts";
import type { NetworkContext } from "./context.ts";

/** By full id, by name, or by the beginning of an id that only one has. Throws `noSuchNetwork`, `ambiguousName`. */
export function findNetwork(context: Pick<NetworkContext, "records">, word: string): NetworkRecord {
  const { networks } = context.records;
  const exact = networks.get(word);
  if (exact !== undefined) return exact;
  const all = [...networks.values()];
  const named = all.find(({ name }) => name === word);
  if (named !== undefined) return named;
  const [match, another] = /^[0-9a-f]+$/.test(word) ? all.filter(({ id }) => id.startsWith(word)) : [];
  if (another !== undefined) throw new HullError("ambiguousName", { what: "networks", value: word });
  if (match === undefined) throw new HullError("noSuchNetwork", { name: word });
  return match;
}
