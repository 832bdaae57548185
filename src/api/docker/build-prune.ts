/** Which steps POST /build/prune forgets. */
import { HullError } from "../../contract/errors.ts";
import { now } from "../../engine/clock.ts";
import type { CacheUsage } from "../../image/build/build-store.ts";
import { duration } from "../../image/build/dockerfile/duration.ts";
import type { Exchange } from "../exchange.ts";
import { parseFilters } from "./filters.ts";

const known = ["until", "id", "shared", "private", "type", "inuse", "description"];

/**
 * Without `all`, what images have too stays: forgetting it frees nothing, and the next build would miss it. With
 * `keep-storage`, only the least recently used steps go, until what is left takes no more bytes than that.
 */
export function selectForPrune(exchange: Exchange): (usage: readonly CacheUsage[]) => readonly string[] {
  const all = exchange.flag("all");
  const keep = exchange.integer("keep-storage") ?? exchange.integer("reserved-space") ?? 0;
  const filters = parseFilters(exchange, known);
  const before = filters.has("until") ? untilOf(filters.get("until") ?? []) : undefined;
  const matches = ({ step, shared }: CacheUsage): boolean => {
    if (before !== undefined && step.used > before) return false;
    const ids = filters.get("id");
    if (ids !== undefined && !ids.some((id) => step.key.startsWith(id))) return false;
    const words = filters.get("description");
    if (words !== undefined && !words.some((word) => step.createdBy.includes(word))) return false;
    if (filters.has("shared") && !shared) return false;
    if (filters.has("private") && shared) return false;
    if (filters.has("inuse")) return false;
    if (filters.get("type")?.includes("regular") === false) return false;
    return all || filters.has("shared") || !shared;
  };
  return (usage) => {
    let left = usage.reduce((sum, each) => sum + each.sizeBytes, 0);
    const chosen: string[] = [];
    for (const each of usage) {
      if (!matches(each) || (keep > 0 && left <= keep)) continue;
      chosen.push(each.step.key);
      left -= each.sizeBytes;
    }
    return chosen;
  };
}

/** A duration before now, an instant, or seconds since the epoch; in milliseconds since the epoch. */
function untilOf([text = ""]: readonly string[]): number {
  const nanoseconds = duration(text);
  if (nanoseconds !== undefined) return now() - nanoseconds / 1e6;
  const instant = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isNaN(instant))
    throw new HullError("invalidParameter", {
      what: "filter until",
      value: text,
      why: "write a duration or a time",
    });
  return instant;
}
