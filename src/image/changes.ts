/** The Dockerfile instructions that `import --change` takes, applied to a config. Source: Dockerfile reference. */
import * as v from "valibot";
import { HullError } from "../contract/errors.ts";
import type { ImageConfig } from "./image-store.ts";

type Change = (config: ImageConfig, rest: string) => ImageConfig;

const instructions: Readonly<Record<string, Change>> = {
  CMD: (config, rest) => ({ ...config, cmd: command(rest) }),
  ENTRYPOINT: (config, rest) => ({ ...config, entrypoint: command(rest) }),
  ENV: (config, rest) => ({ ...config, env: mergeEnv(config.env, pairs(rest)) }),
  EXPOSE: (config, rest) => ({ ...config, exposedPorts: union(config.exposedPorts, words(rest).map(port)) }),
  LABEL: (config, rest) => ({ ...config, labels: { ...config.labels, ...Object.fromEntries(pairs(rest)) } }),
  STOPSIGNAL: (config, rest) => ({ ...config, stopSignal: rest }),
  USER: (config, rest) => ({ ...config, user: rest }),
  VOLUME: (config, rest) => ({ ...config, volumes: union(config.volumes, jsonList(rest) ?? words(rest)) }),
  WORKDIR: (config, rest) => ({ ...config, workingDir: workingDirectory(config.workingDir, rest) }),
};

/** Throws `invalidParameter` for what is no instruction or one that changes no config. */
export function applyChanges(config: ImageConfig, changes: readonly string[]): ImageConfig {
  let result = config;
  for (const line of changes) {
    const match = /^([A-Za-z]+)\s+(\S.*)$/s.exec(line.trim());
    const name = match?.[1]?.toUpperCase() ?? "";
    const change = Object.hasOwn(instructions, name) ? instructions[name] : undefined;
    if (change === undefined)
      throw invalid(line, `use ${Object.keys(instructions).join(", ")}, each with a value`);
    try {
      result = change(result, match?.[2] ?? "");
    } catch (error) {
      if (error instanceof SyntaxError) throw invalid(line, error.message);
      throw error;
    }
  }
  return result;
}

function invalid(line: string, why: string): HullError {
  return new HullError("invalidParameter", { what: "change", value: JSON.stringify(line), why });
}

/** A JSON list is a program and its arguments; anything else is a line for the shell. */
function command(rest: string): string[] {
  return jsonList(rest) ?? ["/bin/sh", "-c", rest];
}

function jsonList(rest: string): string[] | undefined {
  if (!rest.startsWith("[")) return undefined;
  try {
    return v.parse(v.array(v.string()), JSON.parse(rest));
  } catch {
    return undefined;
  }
}

/** `A=b C="d e"`, or the old `A b c` with one name and the rest of the line. */
function pairs(rest: string): [string, string][] {
  const list = words(rest);
  const first = list[0] ?? "";
  if (!first.includes("=")) {
    const match = /^(\S+)\s+(.*)$/s.exec(rest);
    if (match?.[1] === undefined || match[2] === undefined) throw new SyntaxError("a name needs a value");
    return [[match[1], match[2]]];
  }
  return list.map((word) => {
    const equals = word.indexOf("=");
    if (equals < 1) throw new SyntaxError(`${JSON.stringify(word)} is not NAME=VALUE`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

/** Splits at blanks outside of quotes; quotes and backslashes are taken away. */
function words(rest: string): string[] {
  const found: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < rest.length; at++) {
    const char = rest[at] ?? "";
    if (char === "\\" && quote !== "'" && at + 1 < rest.length) {
      at++;
      word = (word ?? "") + (rest[at] ?? "");
    } else if (quote !== "") {
      if (char === quote) quote = "";
      else word = (word ?? "") + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (/\s/.test(char)) {
      if (word !== undefined) found.push(word);
      word = undefined;
    } else word = (word ?? "") + char;
  }
  if (quote !== "") throw new SyntaxError("a quote is not closed");
  if (word !== undefined) found.push(word);
  return found;
}

function port(word: string): string {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(word);
  if (match === null || Number(match[1]) > 65_535 || Number(match[2] ?? 0) > 65_535)
    throw new SyntaxError(`${JSON.stringify(word)} is not a port`);
  return `${match[1]}${match[2] === undefined ? "" : `-${match[2]}`}/${(match[3] ?? "tcp").toLowerCase()}`;
}

function mergeEnv(env: readonly string[], added: readonly [string, string][]): string[] {
  const merged = new Map(env.map((entry) => [entry.split("=", 1)[0] ?? "", entry]));
  for (const [name, value] of added) merged.set(name, `${name}=${value}`);
  return [...merged.values()];
}

function union(before: readonly string[], added: readonly string[]): string[] {
  return [...new Set([...before, ...added])];
}

function workingDirectory(before: string, rest: string): string {
  return rest.startsWith("/") ? rest : `${before === "" || before === "/" ? "" : before}/${rest}`;
}
