/** The functions of templates, and how Go prints and judges values. */
import { UsageError } from "../parse/options.ts";

type TemplateFunction = (...args: readonly unknown[]) => unknown;

const functions: Readonly<Record<string, TemplateFunction>> = {
  json: (value) => JSON.stringify(value ?? null),
  len: lengthOf,
  index: (value, ...keys) => keys.reduce(elementOf, value),
  join: (value, separator) =>
    Array.isArray(value) ? value.map(goString).join(goString(separator)) : goString(value),
  split: (value, separator) => goString(value).split(goString(separator)),
  upper: (value) => goString(value).toUpperCase(),
  lower: (value) => goString(value).toLowerCase(),
  title: (value) => goString(value).replaceAll(/(^|\s)\S/g, (letter) => letter.toUpperCase()),
  truncate: (value, width) => goString(value).slice(0, Number(width)),
  pad: (value, left, right) => " ".repeat(Number(left)) + goString(value) + " ".repeat(Number(right)),
  print: (...values) => values.map(goString).join(""),
  println: (...values) => `${values.map(goString).join(" ")}\n`,
  printf: (format, ...values) => formatted(goString(format), values),
  eq: (first, ...others) => others.some((other) => other === first),
  ne: (first, second) => first !== second,
  lt: (first, second) => compare(first, second) < 0,
  le: (first, second) => compare(first, second) <= 0,
  gt: (first, second) => compare(first, second) > 0,
  ge: (first, second) => compare(first, second) >= 0,
  not: (value) => !isTrue(value),
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
};

export function callFunction(name: string, args: readonly unknown[]): unknown {
  const found = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (found === undefined)
    throw new UsageError(
      `--format: the function ${name} is not supported; there are: ${Object.keys(functions).join(", ")}`,
    );
  return found(...args);
}

/** As Go's `%v`: `[a b]` for a list, `map[key:value]` for a map. */
export function goString(value: unknown): string {
  if (value === null || value === undefined) return "<no value>";
  if (Array.isArray(value)) return `[${value.map(goString).join(" ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, item]) => `${key}:${goString(item)}`).join(" ")}]`;
  }
  return String(value);
}

/** Empty values are false. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

function lengthOf(value: unknown): number {
  if (value === null || value === undefined) return 0;
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === "object") return Object.keys(value).length;
  throw new UsageError(`--format: ${goString(value)} has no length`);
}

function elementOf(value: unknown, key: unknown): unknown {
  if (Array.isArray(value)) {
    const index = Number(key);
    if (!Number.isInteger(index) || index < 0 || index >= value.length)
      throw new UsageError(`--format: index ${goString(key)} is out of range: the list has ${value.length}`);
    return value[index];
  }
  if (typeof value === "object" && value !== null) {
    const name = goString(key);
    // A map's missing entry is empty, as in Go for maps of strings.
    return Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : "";
  }
  if (value === null || value === undefined) return "";
  throw new UsageError(`--format: ${goString(value)} has no elements`);
}

function compare(first: unknown, second: unknown): number {
  if (typeof first === "number" && typeof second === "number") return first - second;
  const [a, b] = [goString(first), goString(second)];
  return a < b ? -1 : a > b ? 1 : 0;
}

function formatted(format: string, values: readonly unknown[]): string {
  let next = 0;
  return format.replaceAll(
    /%(-?)(\d*)(?:\.(\d+))?([a-zA-Z%])/g,
    (whole, left: string, width: string, precision: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      const value = values[next];
      next += 1;
      let text: string;
      if (verb === "s" || verb === "v")
        text = precision === undefined ? goString(value) : goString(value).slice(0, Number(precision));
      else if (verb === "d") text = String(Math.trunc(Number(value)));
      else if (verb === "f") text = Number(value).toFixed(Number(precision ?? 6));
      else if (verb === "q") text = JSON.stringify(goString(value));
      else if (verb === "t") text = String(value);
      else if (verb === "x") text = Number(value).toString(16);
      else throw new UsageError(`--format: printf's ${whole} is not supported`);
      return left === "-" ? text.padEnd(Number(width)) : text.padStart(Number(width));
    },
  );
}
