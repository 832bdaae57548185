/**
 * Reads a verb's flags and arguments the way Docker's users type them: bundled short flags (`-it`), values
 * joined or apart (`-eA=b`, `-e A=b`, `--env=A=b`), repeated flags that collect, `--` that ends flags.
 *
 * A table per verb and this file rather than a library: loading one costs more than all else a `run` does.
 */

interface FlagBase {
  readonly help: string;
  /** One letter. */
  readonly short?: string | undefined;
}

export interface Toggle extends FlagBase {
  readonly kind: "toggle";
  readonly initial: boolean;
}

export interface Text extends FlagBase {
  readonly kind: "text";
  /** What stands for the value in the help. */
  readonly value: string;
}

export interface List extends FlagBase {
  readonly kind: "list";
  readonly value: string;
}

export type Flag = Toggle | Text | List;
export type Flags = Readonly<Record<string, Flag>>;

export type Options<F extends Flags> = {
  readonly [Name in keyof F]: F[Name] extends Toggle
    ? boolean
    : F[Name] extends List
      ? readonly string[]
      : string | undefined;
};

export function toggle(help: string, short?: string, initial = false): Toggle {
  return { kind: "toggle", help, short, initial };
}

export function text(value: string, help: string, short?: string): Text {
  return { kind: "text", value, help, short };
}

export function list(value: string, help: string, short?: string): List {
  return { kind: "list", value, help, short };
}

/** The command line is wrong: it is answered with a pointer to the help. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The user asked for the help. */
export class HelpRequest extends Error {
  override readonly name = "HelpRequest";
}

export interface Parsed<F extends Flags> {
  readonly options: Options<F>;
  /** Flags that were given, whatever their value. */
  readonly given: ReadonlySet<string>;
  readonly args: string[];
}

/** `optionsFirst`: the first argument ends the flags; what follows it belongs to it. */
export function parseOptions<F extends Flags>(
  flags: F,
  argv: readonly string[],
  optionsFirst: boolean,
): Parsed<F> {
  const values: Record<string, boolean | string | string[] | undefined> = {};
  for (const [name, flag] of Object.entries(flags))
    values[name] = flag.kind === "toggle" ? flag.initial : flag.kind === "list" ? [] : undefined;
  const given = new Set<string>();
  const args: string[] = [];
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") {
      args.push(...rest);
      break;
    }
    if (word.length < 2 || !word.startsWith("-")) {
      args.push(word);
      if (!optionsFirst) continue;
      args.push(...rest);
      break;
    }
    const uses = word.startsWith("--") ? longFlag(flags, word, rest) : shortFlags(flags, word, rest);
    for (const { name, value } of uses) {
      given.add(name);
      store(flags, values, name, value);
    }
  }
  // Every flag of the table has a value of its kind: set above, changed only by `store`.
  return { options: values as Options<F>, given, args };
}

interface Use {
  readonly name: string;
  /** undefined: a toggle without a value. */
  readonly value: string | undefined;
}

function longFlag(flags: Flags, word: string, rest: string[]): Use[] {
  const equals = word.indexOf("=");
  const name = word.slice(2, equals < 0 ? undefined : equals);
  if (name === "help" && !Object.hasOwn(flags, name)) throw new HelpRequest();
  const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
  if (flag === undefined) throw new UsageError(`unknown flag: --${name}`);
  if (equals >= 0) return [{ name, value: word.slice(equals + 1) }];
  if (flag.kind === "toggle") return [{ name, value: undefined }];
  return [{ name, value: needValue(rest.shift(), `--${name}`) }];
}

function shortFlags(flags: Flags, word: string, rest: string[]): Use[] {
  const uses: Use[] = [];
  for (let index = 1; index < word.length; index += 1) {
    const letter = word.charAt(index);
    const found = Object.entries(flags).find(([, flag]) => flag.short === letter);
    if (found === undefined) {
      if (letter === "h") throw new HelpRequest();
      throw new UsageError(`unknown shorthand flag: '${letter}' in ${word}`);
    }
    const [name, flag] = found;
    const after = word.slice(index + 1);
    if (flag.kind === "toggle") {
      if (!after.startsWith("=")) {
        uses.push({ name, value: undefined });
        continue;
      }
      uses.push({ name, value: after.slice(1) });
      break;
    }
    const joined = after.startsWith("=") ? after.slice(1) : after;
    uses.push({ name, value: after === "" ? needValue(rest.shift(), `-${letter}`) : joined });
    break;
  }
  return uses;
}

function needValue(value: string | undefined, flag: string): string {
  if (value === undefined) throw new UsageError(`flag needs an argument: ${flag}`);
  return value;
}

function store(
  flags: Flags,
  values: Record<string, boolean | string | string[] | undefined>,
  name: string,
  value: string | undefined,
): void {
  const flag = flags[name];
  const before = values[name];
  if (flag?.kind === "toggle") values[name] = value === undefined || booleanOf(`--${name}`, value);
  else if (Array.isArray(before)) before.push(value ?? "");
  else values[name] = value;
}

function booleanOf(flag: string, value: string): boolean {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(value)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return false;
  throw new UsageError(`invalid argument "${value}" for ${flag}: use true or false`);
}
