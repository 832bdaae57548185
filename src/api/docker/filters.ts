/** Docker's `filters` parameter: a map of names to values that are to be matched; an unknown name is refused. */
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import { HullError } from "../../contract/errors.ts";
import { type Exchange, parseWith } from "../exchange.ts";
import { patternMatcher } from "./pattern.ts";

export type Filters = ReadonlyMap<string, readonly string[]>;

/** Values as a list, or in the older spelling as a map to true. */
const schema = dictionary(v.union([v.array(v.string()), dictionary(v.boolean())]));

export function parseFilters(exchange: Exchange, known: readonly string[]): Filters {
  const filters = new Map<string, readonly string[]>();
  for (const [name, values] of Object.entries(
    parseWith(schema, exchange.jsonParameter("filters") ?? {}, "filters"),
  )) {
    if (!known.includes(name))
      throw new HullError("invalidParameter", {
        what: "filter",
        value: name,
        why: `use one of ${known.join(", ")}`,
      });
    filters.set(name, Array.isArray(values) ? values : Object.keys(values));
  }
  return filters;
}

/** Whether any of a filter's values matches; a filter that was not given lets everything through. */
export function passes(filters: Filters, name: string, matches: (value: string) => boolean): boolean {
  const values = filters.get(name);
  return values === undefined || values.length === 0 || values.some(matches);
}

const booleans = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

/** Of a filter that is true or false; undefined: not given. Throws `invalidParameter` for any other word, and for both. */
export function booleanFilter(filters: Filters, name: string): boolean | undefined {
  const [first, ...others] = filters.get(name) ?? [];
  if (first === undefined) return undefined;
  const wanted = booleans.get(first);
  if (wanted === undefined || others.some((value) => booleans.get(value) !== wanted))
    throw new HullError("invalidParameter", {
      what: `filter ${name}`,
      value: [first, ...others].join(", "),
      why: "use true or false",
    });
  return wanted;
}

/** As `passes`, of a filter whose values are regular expressions that are found somewhere in a name. */
export async function passesPatterns(filters: Filters, filter: string): Promise<(name: string) => boolean> {
  const values = filters.get(filter) ?? [];
  const matchers = await Promise.all(values.map((pattern) => patternMatcher(filter, pattern)));
  return (name) => matchers.length === 0 || matchers.some((matches) => matches(name));
}

/** Of the filters `label`, all of which have to match, and `label!`, all of which must not. */
export function passesAllLabels(filters: Filters, labels: Readonly<Record<string, string>>): boolean {
  const without = filters.get("label!") ?? [];
  return (
    passesLabels(filters, "label", labels) &&
    (without.length === 0 || !passesLabels(filters, "label!", labels))
  );
}

/** `key` or `key=value` against labels; all the values have to match. */
export function passesLabels(
  filters: Filters,
  name: string,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (filters.get(name) ?? []).every((value) => {
    const equals = value.indexOf("=");
    const key = equals < 0 ? value : value.slice(0, equals);
    return Object.hasOwn(labels, key) && (equals < 0 || labels[key] === value.slice(equals + 1));
  });
}
