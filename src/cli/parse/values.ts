/** The values of flags: sizes, numbers, choices, variables, labels. */
import { readFileSync } from "node:fs";
import { messageOf } from "../../contract/errors.ts";
import { UsageError } from "./options.ts";

function invalid(flag: string, value: string, why: string): UsageError {
  return new UsageError(`invalid argument "${value}" for ${flag}: ${why}`);
}

const units: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/** `512m`, `1.5g`, `64MiB`, `1048576`: units of 1024, whatever they are called, as Docker reads them. */
export function bytesOf(flag: string, value: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]?)(?:i?b)?$/i.exec(value.trim());
  const unit = units[match?.[2]?.toLowerCase() ?? "?"];
  if (match === null || unit === undefined)
    throw invalid(flag, value, "use a number and a unit, such as 512m or 1g");
  return Math.floor(Number(match[1]) * unit);
}

/** `1.5`: a number of CPUs, in the API's units of a billionth. */
export function nanoCpusOf(flag: string, value: string): number {
  if (!/^\d*\.?\d+$/.test(value)) throw invalid(flag, value, "use a number of CPUs, such as 1.5");
  const nano = Number(value) * 1e9;
  if (!Number.isSafeInteger(Math.round(nano)) || (nano > 0 && nano < 1))
    throw invalid(flag, value, "it is out of range");
  return Math.round(nano);
}

export function integerOf(flag: string, value: string, least = Number.MIN_SAFE_INTEGER): number {
  const number = Number(value);
  if (!/^-?\d+$/.test(value) || !Number.isSafeInteger(number))
    throw invalid(flag, value, "use a whole number");
  if (number < least) throw invalid(flag, value, `it is less than ${least}`);
  return number;
}

export function choiceOf<Choice extends string>(
  flag: string,
  value: string,
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((each) => each === value);
  if (choice === undefined) throw invalid(flag, value, `use ${choices.join(", ")}`);
  return choice;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables of files, then those of flags; `NAME` alone takes the client's value, or is left out when it has none. */
export function environmentOf(
  flags: readonly string[],
  files: readonly string[],
  inherited: Environment = process.env,
): string[] {
  const env: string[] = [];
  for (const entry of [...files.flatMap(linesOfEnvFile), ...flags]) {
    const name = entry.split("=", 1)[0] ?? "";
    if (name === "") throw invalid("--env", entry, "the variable has no name");
    if (entry.includes("=")) env.push(entry);
    else if (inherited[name] !== undefined) env.push(`${name}=${inherited[name]}`);
  }
  return env;
}

function linesOfEnvFile(path: string): string[] {
  const lines = textOf("--env-file", path).split(/\r?\n/);
  return lines
    .map((line) => line.trimStart())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const name = line.split("=", 1)[0] ?? "";
      if (/\s/.test(name))
        throw invalid("--env-file", path, `the variable '${name}' has white space in its name`);
      return line;
    });
}

/** `NAME=value`, or `NAME` for an empty value. */
export function labelsOf(flags: readonly string[], files: readonly string[] = []): Record<string, string> {
  const fromFiles = files.flatMap((path) =>
    textOf("--label-file", path)
      .split(/\r?\n/)
      .filter((line) => line.trim() !== "" && !line.trimStart().startsWith("#")),
  );
  return pairsOf("--label", [...fromFiles, ...flags]);
}

/** `NAME=VALUE`; a name alone has an empty value. Later ones win. */
export function pairsOf(flag: string, entries: readonly string[]): Record<string, string> {
  const pairs = entries.map((entry): [string, string] => {
    const equals = entry.indexOf("=");
    const name = equals < 0 ? entry : entry.slice(0, equals);
    if (name === "") throw invalid(flag, entry, "it has no name");
    return [name, equals < 0 ? "" : entry.slice(equals + 1)];
  });
  return Object.fromEntries(pairs);
}

/** `name=value`, collected by name. */
export function filtersOf(flags: readonly string[]): Record<string, string[]> {
  const filters = new Map<string, string[]>();
  for (const entry of flags) {
    const equals = entry.indexOf("=");
    if (equals < 1) throw invalid("--filter", entry, "use name=value");
    const name = entry.slice(0, equals).trim().toLowerCase();
    filters.set(name, [...(filters.get(name) ?? []), entry.slice(equals + 1).trim()]);
  }
  return Object.fromEntries(filters);
}

function textOf(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw invalid(flag, path, messageOf(error));
  }
}
