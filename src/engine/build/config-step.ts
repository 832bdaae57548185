/** Instructions that change nothing but the image's config. Pure. Source: Dockerfile reference. */
import { posix } from "node:path";
import { HullError } from "../../contract/errors.ts";
import type { CommandLine, Pairs, StageInstruction } from "../../image/build/dockerfile/instruction.ts";
import { dockerfileError } from "../../image/build/dockerfile/syntax.ts";
import { expandWord, expandWords, maxExpanded, WordError } from "../../image/build/dockerfile/words.ts";
import type { StageConfig } from "../../image/build/stage-config.ts";
import { parseSignal } from "../signals.ts";
import type { StageArguments } from "./arguments.ts";

const defaultShell = ["/bin/sh", "-c"];

/** What an instruction sees beside the config. */
export interface StepScope {
  readonly config: StageConfig;
  readonly args: StageArguments;
  readonly escapeToken: string;
  /** A CMD of this stage was seen: an ENTRYPOINT leaves it then. */
  readonly commandSet: boolean;
}

export interface ConfigStep {
  readonly config: StageConfig;
  /** The instruction as the history tells it. */
  readonly told: string;
  /** What the history tells in a way that others are told in, too: values have blanks, and lists are told with them. */
  readonly key?: readonly string[];
}

/** Undefined for instructions that do more: RUN, COPY, ADD; and WORKDIR, whose directory has to be there. */
export function configStep(instruction: StageInstruction, scope: StepScope): ConfigStep | undefined {
  const { config } = scope;
  const expand = (text: string) => expandIn(text, instruction.line, scope);
  switch (instruction.do) {
    case "ENV": {
      const pairs = expandPairs(instruction.pairs, instruction.line, expand);
      return { config: { ...config, env: mergeEnv(config.env, pairs) }, ...toldOf("ENV", pairs) };
    }
    case "LABEL": {
      const pairs = expandPairs(instruction.pairs, instruction.line, expand);
      const labels = { ...config.labels, ...Object.fromEntries(pairs) };
      return { config: { ...config, labels }, ...toldOf("LABEL", pairs) };
    }
    case "ARG":
      return {
        config,
        told: `ARG ${instruction.args.map(([name, value]) => argShown(name, value)).join(" ")}`,
      };
    case "CMD": {
      const cmd = argumentsOf(instruction.command, config);
      return { config: { ...config, cmd }, told: `CMD ${quoted(cmd)}` };
    }
    case "ENTRYPOINT": {
      const entrypoint = argumentsOf(instruction.command, config);
      // A base image's command belongs to its entry point.
      const cmd = scope.commandSet ? config.cmd : [];
      return { config: { ...config, entrypoint, cmd }, told: `ENTRYPOINT ${quoted(entrypoint)}` };
    }
    case "EXPOSE": {
      const words = wordsIn(instruction.ports, instruction.line, scope);
      const exposedPorts = [...portsOfAll(config.exposedPorts, words, instruction.line)];
      return { config: { ...config, exposedPorts }, told: `EXPOSE ${words.toSorted().join(" ")}` };
    }
    case "VOLUME": {
      const expanded = expandPairs(
        instruction.paths.map((path) => [path, ""]),
        instruction.line,
        expand,
      );
      const volumes = expanded.map(([path]) => path).filter((path) => path !== "");
      const all = [...new Set([...config.volumes, ...volumes])];
      return { config: { ...config, volumes: all }, told: `VOLUME [${volumes.join(" ")}]`, key: volumes };
    }
    default:
      return simpleStep(instruction, config, expand);
  }
}

function simpleStep(
  instruction: StageInstruction,
  config: StageConfig,
  expand: (text: string) => string,
): ConfigStep | undefined {
  switch (instruction.do) {
    case "USER": {
      const user = expand(instruction.value);
      return { config: { ...config, user }, told: `USER ${user}` };
    }
    case "STOPSIGNAL": {
      const stopSignal = expand(instruction.value);
      parseSignal(stopSignal);
      return { config: { ...config, stopSignal }, told: `STOPSIGNAL ${stopSignal}` };
    }
    case "MAINTAINER":
      return { config: { ...config, author: instruction.value }, told: `MAINTAINER ${instruction.value}` };
    case "ONBUILD":
      return {
        config: { ...config, onBuild: [...config.onBuild, instruction.value] },
        told: `ONBUILD ${instruction.value}`,
      };
    case "HEALTHCHECK":
      return {
        config: { ...config, healthcheck: instruction.check },
        told: `HEALTHCHECK ${JSON.stringify(instruction.check)}`,
      };
    case "SHELL":
      return {
        config: { ...config, shell: instruction.shell },
        told: `SHELL [${instruction.shell.join(" ")}]`,
        key: instruction.shell,
      };
    default:
      return undefined;
  }
}

/** The directory that a WORKDIR goes to. */
export function workingDirectoryOf(value: string, line: number, scope: StepScope): string {
  const path = expandIn(value, line, scope);
  if (path === "") throw dockerfileError(line, "cannot normalize nothing: WORKDIR is empty");
  const before = scope.config.workingDir === "" ? "/" : scope.config.workingDir;
  const whole = posix.normalize(path.startsWith("/") ? path : `${before}/${path}`);
  return whole.length > 1 ? whole.replace(/\/+$/, "") : whole;
}

export function expandIn(text: string, line: number, scope: StepScope): string {
  return named(text, line, () => expandWord(text, scope.escapeToken, variablesOf(scope)));
}

function wordsIn(text: string, line: number, scope: StepScope): string[] {
  return named(text, line, () => expandWords(text, scope.escapeToken, variablesOf(scope)));
}

/** ENV wins over ARG. */
export function variablesOf(scope: StepScope): (name: string) => string | undefined {
  const env = valuesOf(scope.config.env);
  return (name) => env.get(name) ?? scope.args.value(name);
}

/** An environment is never changed, and looked into for every variable of what follows. */
const known = new WeakMap<readonly string[], ReadonlyMap<string, string>>();

function valuesOf(env: readonly string[]): ReadonlyMap<string, string> {
  const before = known.get(env);
  if (before !== undefined) return before;
  const values = new Map(
    env.map((entry): [string, string] => {
      const [name = ""] = entry.split("=", 1);
      return [name, entry.slice(name.length + 1)];
    }),
  );
  known.set(env, values);
  return values;
}

function named<T>(text: string, line: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof WordError)) throw error;
    throw dockerfileError(line, `failed to process ${JSON.stringify(text)}: ${error.message}`);
  }
}

export function shellOf(config: StageConfig): readonly string[] {
  return config.shell.length === 0 ? defaultShell : config.shell;
}

/** The exec form as it is; a line goes to the shell. */
export function argumentsOf(command: CommandLine, config: StageConfig): readonly string[] {
  if (command.form === "exec") return command.args;
  return command.line === "" ? [] : [...shellOf(config), command.line];
}

/** How the history tells of a step that ran no command. */
export function withoutCommand(told: string, config: StageConfig): string {
  return [...shellOf(config), "#(nop) ", told].join(" ");
}

function expandPairs(pairs: Pairs, line: number, expand: (text: string) => string): [string, string][] {
  let length = 0;
  return pairs.map(([name, value]): [string, string] => {
    const pair: [string, string] = [expand(name), expand(value)];
    length += pair[0].length + pair[1].length;
    if (length > maxExpanded)
      throw dockerfileError(line, `its names and values become more than ${maxExpanded} characters`);
    return pair;
  });
}

function mergeEnv(env: readonly string[], pairs: readonly (readonly [string, string])[]): string[] {
  const merged = new Map(env.map((entry) => [entry.split("=", 1)[0] ?? "", entry]));
  for (const [name, value] of pairs) {
    if (name === "" || name.includes("\0") || value.includes("\0"))
      throw new HullError("invalidParameter", {
        what: "environment variable",
        value: name,
        why: "it has no name",
      });
    merged.set(name, `${name}=${value}`);
  }
  return [...merged.values()];
}

function toldOf(
  name: "ENV" | "LABEL",
  pairs: readonly (readonly [string, string])[],
): Pick<ConfigStep, "told" | "key"> {
  const shown = pairs.map(([each, value]) => `${each}=${value}`);
  return { told: `${name} ${shown.join(" ")}`, key: shown };
}

function argShown(name: string, value: string | undefined): string {
  return value === undefined ? name : `${name}=${value}`;
}

function quoted(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(" ")}]`;
}

/** As many as there are numbers: ranges that say the same again and again are no use to anybody. */
const maxPorts = 65_536;

function portsOfAll(before: readonly string[], words: readonly string[], line: number): Set<string> {
  const ports = new Set(before);
  let told = 0;
  for (const word of words) {
    const each = portsOf(word, line);
    told += each.length;
    if (told > maxPorts) throw dockerfileError(line, `it exposes more than ${maxPorts} ports`);
    for (const port of each) ports.add(port);
  }
  return ports;
}

/** `80`, `80/udp`, `8000-8010/tcp`. */
function portsOf(word: string, line: number): string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(word);
  const from = Number(match?.[1]);
  const to = Number(match?.[2] ?? match?.[1]);
  if (match === null || from > to || to > 65_535)
    throw dockerfileError(
      line,
      `Invalid containerPort: ${word}: write a port or a range, such as 80/tcp or 8000-8010`,
    );
  const protocol = (match[3] ?? "tcp").toLowerCase();
  return Array.from({ length: to - from + 1 }, (_, index) => `${from + index}/${protocol}`);
}
