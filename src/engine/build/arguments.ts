/** The arguments of a build: which are declared where, and what they are. Source: Dockerfile reference, ARG. Pure. */

/** Known to every command without an ARG, and no part of the cache or the history unless declared. */
const predefined: ReadonlySet<string> = new Set(
  ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"].flatMap((name) => [
    name,
    name.toLowerCase(),
  ]),
);

interface Values {
  /** By the client. */
  readonly given: ReadonlyMap<string, string | undefined>;
  /** By ARG before the first FROM. */
  readonly global: ReadonlyMap<string, string | undefined>;
  /** Such as TARGETPLATFORM. */
  readonly automatic: ReadonlyMap<string, string>;
}

export class StageArguments {
  readonly #values: Values;
  readonly #declared = new Map<string, string | undefined>();

  constructor(values: Values) {
    this.#values = values;
  }

  /** Characters of all values. */
  get length(): number {
    return [...this.#declared.values()].reduce((sum, value) => sum + (value?.length ?? 0), 0);
  }

  /** `initial`: what is taken when the client gave nothing. */
  declare(name: string, initial: string | undefined): void {
    const { given, global, automatic } = this.#values;
    const value = given.get(name) ?? initial ?? global.get(name) ?? automatic.get(name);
    this.#declared.set(name, value);
  }

  value(name: string): string | undefined {
    return this.#declared.get(name);
  }

  /** What a command gets of them beside the environment, in order: `NAME=value`. An ENV of the same name wins. */
  ofCommand(env: readonly string[]): string[] {
    return this.#without(env, this.#declared);
  }

  /** Of the predefined ones, those that the client gave and nobody declared. */
  undeclared(env: readonly string[]): string[] {
    const found = [...this.#values.given].filter(
      ([name]) => predefined.has(name) && !this.#declared.has(name),
    );
    return this.#without(env, new Map(found));
  }

  #without(env: readonly string[], values: ReadonlyMap<string, string | undefined>): string[] {
    const names = new Set(env.map((entry) => entry.split("=", 1)[0]));
    return [...values]
      .filter(([name, value]) => value !== undefined && !names.has(name))
      .map(([name, value]) => `${name}=${value}`)
      .sort();
  }
}

/** Arguments that a client gave and no instruction that was read declares. */
export function unusedArguments(
  given: ReadonlyMap<string, string | undefined>,
  declared: ReadonlySet<string>,
): string[] {
  return [...given.keys()].filter((name) => !declared.has(name) && !predefined.has(name)).sort();
}
