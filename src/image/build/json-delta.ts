/**
 * What one JSON document has and another has not. A build's steps are kept as the difference to the step before: each
 * config has the whole history and all variables, so that whole ones would grow with the square of the steps.
 */
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";

type Members = { readonly [name: string]: Json };
export type Json = null | boolean | number | string | readonly Json[] | Members;

export type Delta =
  /** It is this. */
  | { readonly is: Json }
  /** A list: so many elements from `at` on are these. */
  | { readonly at: number; readonly drop: number; readonly put: readonly Json[] }
  /** An object: members that changed, and those that are gone. */
  | { readonly members: Readonly<Record<string, Delta>>; readonly without: readonly string[] };

const json: v.GenericSchema<Json> = v.lazy(() =>
  v.union([v.null(), v.boolean(), v.number(), v.string(), v.array(json), dictionary(json)]),
);

export const deltaSchema: v.GenericSchema<Delta> = v.lazy(() =>
  v.union([
    v.object({ is: json }),
    v.object({ at: v.number(), drop: v.number(), put: v.array(json) }),
    v.object({ members: dictionary(deltaSchema), without: v.array(v.string()) }),
  ]),
);

/** Undefined: there is no difference. The order of members does not count. */
export function deltaOf(before: Json, after: Json): Delta | undefined {
  if (isList(before) && isList(after)) return listDelta(before, after);
  if (isMembers(before) && isMembers(after)) return membersDelta(before, after);
  return before === after ? undefined : { is: after };
}

/** Throws when the difference is not one to `before`. */
export function applyDelta(before: Json, delta: Delta | undefined): Json {
  if (delta === undefined) return before;
  if ("is" in delta) return delta.is;
  if ("put" in delta) {
    if (!isList(before) || delta.at + delta.drop > before.length) throw new Error("not a difference to this");
    return [...before.slice(0, delta.at), ...delta.put, ...before.slice(delta.at + delta.drop)];
  }
  if (!isMembers(before)) throw new Error("not a difference to this");
  const after = new Map(Object.entries(before));
  for (const name of delta.without) after.delete(name);
  for (const [name, member] of Object.entries(delta.members)) {
    const known = after.get(name);
    after.set(name, applyDelta(known === undefined ? null : known, member));
  }
  return Object.fromEntries(after);
}

function listDelta(before: readonly Json[], after: readonly Json[]): Delta | undefined {
  const same = (one: Json | undefined, other: Json | undefined): boolean =>
    one !== undefined && other !== undefined && deltaOf(one, other) === undefined;
  const shorter = Math.min(before.length, after.length);
  let at = 0;
  while (at < shorter && same(before[at], after[at])) at++;
  let tail = 0;
  while (tail < shorter - at && same(before.at(-1 - tail), after.at(-1 - tail))) tail++;
  const put = after.slice(at, after.length - tail);
  const drop = before.length - tail - at;
  return drop === 0 && put.length === 0 ? undefined : { at, drop, put };
}

function membersDelta(before: Members, after: Members): Delta | undefined {
  const members: [string, Delta][] = [];
  for (const [name, value] of Object.entries(after)) {
    const known = Object.hasOwn(before, name) ? before[name] : undefined;
    const delta = known === undefined ? { is: value } : deltaOf(known, value);
    if (delta !== undefined) members.push([name, delta]);
  }
  const without = Object.keys(before).filter((name) => !Object.hasOwn(after, name));
  if (members.length === 0 && without.length === 0) return undefined;
  return { members: Object.fromEntries(members), without };
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function isMembers(value: Json): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
