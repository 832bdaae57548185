/** From a Dockerfile's lines to instructions. What is wrong in any of them is found before the first one runs. */
import { HullError } from "../../../contract/errors.ts";
import { duration } from "./duration.ts";
import type { CommandLine, Healthcheck, Instruction, Pairs, StageInstruction } from "./instruction.ts";
import { type Heredoc, heredocHead, type RawInstruction, readDockerfile } from "./lines.ts";
import { dockerfileError } from "./syntax.ts";
import { splitRaw } from "./words.ts";

export interface ParsedDockerfile {
  readonly escapeToken: string;
  readonly instructions: readonly Instruction[];
}

export function parseDockerfile(text: string): ParsedDockerfile {
  const { escapeToken, instructions } = readDockerfile(text);
  return { escapeToken, instructions: instructions.map((raw) => parseInstruction(raw, escapeToken)) };
}

/** The instruction that a base image left for those who build upon it. */
export function parseTrigger(text: string, escapeToken: string): StageInstruction {
  const [raw, more] = readDockerfile(text).instructions;
  const parsed = raw === undefined || more !== undefined ? undefined : parseInstruction(raw, escapeToken);
  if (parsed === undefined || parsed.do === "FROM")
    throw new HullError("corrupt", {
      what: "the base image",
      why: `it has the trigger ${JSON.stringify(text)}`,
    });
  return parsed;
}

type Parser = (parts: Parts) => Instruction;

/** One instruction on its way. */
class Parts {
  readonly raw: RawInstruction;
  readonly escapeToken: string;
  readonly #flags = new Map<string, string>();

  constructor(raw: RawInstruction, escapeToken: string, known: readonly string[]) {
    this.raw = raw;
    this.escapeToken = escapeToken;
    for (const flag of raw.flags) {
      const [, name = "", value = ""] = /^--([^=]*)(?:=(.*))?$/s.exec(flag) ?? [];
      const reason = refusedFlags[`${raw.name} --${name}`];
      if (reason !== undefined) throw this.error(`--${name} is not supported: ${reason}`);
      if (!known.includes(name)) throw this.error(`unknown flag: --${name}`);
      if (this.#flags.has(name)) throw this.error(`duplicate flag specified: --${name}`);
      this.#flags.set(name, value);
    }
  }

  get at() {
    return { line: this.raw.line, text: this.raw.text };
  }

  flag(name: string): string {
    return this.#flags.get(name) ?? "";
  }

  /** All of the rest, which must not be empty. */
  value(): string {
    if (this.raw.rest.trim() === "") throw this.error(`${this.raw.name} requires exactly one argument`);
    return this.raw.rest.trim();
  }

  words(): string[] {
    return this.raw.rest.split(/\s+/).filter((word) => word !== "");
  }

  error(why: string): HullError {
    return dockerfileError(this.raw.line, why);
  }
}

const buildKit = "it is BuildKit's, and this is the classic builder";
const refusedFlags: Readonly<Record<string, string>> = {
  "RUN --mount": `${buildKit}: COPY what the command needs, or bring it by an ARG`,
  "RUN --security": `${buildKit}: a command runs behind the wall that the build was given`,
  "RUN --device": "devices of the host are not passed through a wall",
  "COPY --parents": `${buildKit}: name the directories in the destination`,
  "COPY --exclude": `${buildKit}: use .dockerignore`,
  "ADD --exclude": `${buildKit}: use .dockerignore`,
  "ADD --keep-git-dir": `${buildKit}: clone in a RUN`,
  "ADD --unpack": `${buildKit}: local archives are unpacked, downloads are not`,
};

const flagsOf: Readonly<Record<string, readonly string[]>> = {
  FROM: ["platform"],
  COPY: ["from", "chown", "chmod", "link"],
  ADD: ["chown", "chmod", "checksum", "link"],
  RUN: ["network"],
  HEALTHCHECK: ["interval", "timeout", "start-period", "start-interval", "retries"],
};

const parsers: Readonly<Record<string, Parser>> = {
  FROM: parseFrom,
  RUN: parseRun,
  COPY: parseCopy,
  ADD: parseCopy,
  ARG: parseArg,
  ENV: (parts) => ({ ...parts.at, do: "ENV", pairs: pairs(parts) }),
  LABEL: (parts) => ({ ...parts.at, do: "LABEL", pairs: pairs(parts) }),
  CMD: (parts) => ({ ...parts.at, do: "CMD", command: commandLine(parts.raw.rest) }),
  ENTRYPOINT: (parts) => ({ ...parts.at, do: "ENTRYPOINT", command: commandLine(parts.raw.rest) }),
  EXPOSE: (parts) => ({ ...parts.at, do: "EXPOSE", ports: parts.value() }),
  VOLUME: parseVolume,
  USER: (parts) => ({ ...parts.at, do: "USER", value: parts.value() }),
  WORKDIR: (parts) => ({ ...parts.at, do: "WORKDIR", value: parts.value() }),
  STOPSIGNAL: (parts) => ({ ...parts.at, do: "STOPSIGNAL", value: parts.value() }),
  MAINTAINER: (parts) => ({ ...parts.at, do: "MAINTAINER", value: parts.value() }),
  ONBUILD: parseOnbuild,
  HEALTHCHECK: parseHealthcheck,
  SHELL: parseShell,
};

function parseInstruction(raw: RawInstruction, escapeToken: string): Instruction {
  const parser = Object.hasOwn(parsers, raw.name) ? parsers[raw.name] : undefined;
  if (parser === undefined) throw dockerfileError(raw.line, `unknown instruction: ${raw.name}`);
  return parser(new Parts(raw, escapeToken, flagsOf[raw.name] ?? []));
}

function parseFrom(parts: Parts): Instruction {
  const [image = "", as, name = "", ...more] = parts.words();
  if (image === "" || more.length > 0 || (as !== undefined && (as.toLowerCase() !== "as" || name === "")))
    throw parts.error("FROM requires either one or three arguments");
  if (name !== "" && !/^[a-z][a-z0-9-_.]*$/i.test(name))
    throw parts.error(
      `invalid name for build stage: "${name}", name can't start with a number or contain symbols`,
    );
  return { ...parts.at, do: "FROM", image, name: name.toLowerCase(), platform: parts.flag("platform") };
}

function parseRun(parts: Parts): Instruction {
  const network = parts.flag("network");
  if (!["", "default", "none", "host"].includes(network))
    throw parts.error(`invalid network mode ${network}: use default, none or host`);
  if (parts.raw.rest.trim() === "") throw parts.error("RUN requires at least one argument");
  const command = commandLine(parts.raw.rest);
  return { ...parts.at, do: "RUN", command, heredocs: parts.raw.heredocs, network };
}

function parseCopy(parts: Parts): Instruction {
  const { name } = parts.raw;
  const words = jsonList(parts.raw.rest) ?? parts.words();
  const destination = words.at(-1);
  const inline: Heredoc[] = [...parts.raw.heredocs];
  const sources = words.slice(0, -1).filter((word) => inline.length === 0 || heredocHead(word) === undefined);
  if (destination === undefined || sources.length + inline.length === 0)
    throw parts.error(`${name} requires at least two arguments, but only ${words.length} provided`);
  const from = parts.flag("from");
  if (from !== "" && inline.length > 0) throw parts.error("COPY --from takes no here-documents");
  const link = parts.flag("link");
  if (!["", "true", "false", "1", "0"].includes(link)) throw parts.error(`invalid value for --link: ${link}`);
  return {
    ...parts.at,
    do: name === "ADD" ? "ADD" : "COPY",
    sources,
    inline,
    destination,
    from,
    chown: parts.flag("chown"),
    chmod: parts.flag("chmod"),
    checksum: parts.flag("checksum"),
  };
}

function parseArg(parts: Parts): Instruction {
  const words = splitRaw(parts.raw.rest, parts.escapeToken);
  if (words.length === 0) throw parts.error("ARG requires at least one argument");
  const args = words.map((word): readonly [string, string | undefined] => {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name))
      throw parts.error(`ARG names can not be ${JSON.stringify(name)}`);
    return [name, equals < 0 ? undefined : word.slice(equals + 1)];
  });
  return { ...parts.at, do: "ARG", args };
}

/** `A=b C="d e"`, or the old form: one name and the rest of the line. */
function pairs(parts: Parts): Pairs {
  const { name, rest } = parts.raw;
  const words = splitRaw(rest, parts.escapeToken);
  const [first] = words;
  if (first === undefined) throw parts.error(`${name} requires at least one argument`);
  if (!first.includes("=")) {
    const value = rest.trim().slice(first.length).trim();
    if (value === "") throw parts.error(`${name} must have two arguments`);
    return [[first, value]];
  }
  return words.map((word): readonly [string, string] => {
    const equals = word.indexOf("=");
    if (equals < 0)
      throw parts.error(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    if (equals === 0) throw parts.error(`${name} names can not be blank`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

function parseVolume(parts: Parts): Instruction {
  const paths = jsonList(parts.raw.rest) ?? parts.words();
  if (paths.length === 0 || paths.some((path) => path.trim() === ""))
    throw parts.error("VOLUME requires at least one argument, and none may be empty");
  return { ...parts.at, do: "VOLUME", paths };
}

function parseOnbuild(parts: Parts): Instruction {
  const value = parts.value();
  const trigger = /^\S+/.exec(value)?.[0]?.toUpperCase() ?? "";
  if (trigger === "ONBUILD") throw parts.error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (["FROM", "MAINTAINER"].includes(trigger))
    throw parts.error(`${trigger} isn't allowed as an ONBUILD trigger`);
  if (parts.raw.heredocs.length > 0) throw parts.error("ONBUILD takes no here-documents");
  // A trigger is found wrong where it is written, not where it is pulled.
  const [inner] = readDockerfile(value).instructions;
  if (inner !== undefined) parseInstruction({ ...inner, line: parts.raw.line }, parts.escapeToken);
  return { ...parts.at, do: "ONBUILD", value };
}

function parseHealthcheck(parts: Parts): Instruction {
  const [, type = "", rest = ""] = /^\s*(\S+)\s*(.*)$/s.exec(parts.raw.rest) ?? [];
  if (type.toUpperCase() === "NONE") {
    if (rest.trim() !== "") throw parts.error("HEALTHCHECK NONE takes no arguments");
    return { ...parts.at, do: "HEALTHCHECK", check: { Test: ["NONE"] } };
  }
  if (type.toUpperCase() !== "CMD")
    throw parts.error(`Unknown type ${JSON.stringify(type)} in HEALTHCHECK (try CMD)`);
  const command = commandLine(rest);
  if (command.form === "exec" ? command.args.length === 0 : command.line === "")
    throw parts.error("Missing command after HEALTHCHECK CMD");
  const Test = command.form === "exec" ? ["CMD", ...command.args] : ["CMD-SHELL", command.line];
  const check: { -readonly [Key in keyof Healthcheck]: Healthcheck[Key] } = { Test };
  const times = {
    interval: "Interval",
    timeout: "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
  } as const;
  for (const [flag, key] of Object.entries(times)) {
    const text = parts.flag(flag);
    if (text === "") continue;
    const nanoseconds = duration(text);
    if (nanoseconds === undefined || (nanoseconds !== 0 && nanoseconds < 1e6))
      throw parts.error(`invalid --${flag} ${text}: write a time of 1ms or more, such as 30s or 1m30s`);
    if (nanoseconds !== 0) check[key] = nanoseconds;
  }
  const retries = parts.flag("retries");
  if (retries !== "" && !/^\d{1,9}$/.test(retries))
    throw parts.error(`--retries must be a number, not ${retries}`);
  if (Number(retries) > 0) check.Retries = Number(retries);
  return { ...parts.at, do: "HEALTHCHECK", check };
}

function parseShell(parts: Parts): Instruction {
  const shell = jsonList(parts.raw.rest);
  if (shell === undefined || shell.length === 0)
    throw parts.error("SHELL requires the arguments to be in JSON form");
  return { ...parts.at, do: "SHELL", shell };
}

/** What is not a JSON list of strings is a line for the shell. */
function commandLine(rest: string): CommandLine {
  const args = jsonList(rest);
  return args === undefined ? { form: "shell", line: rest.trim() } : { form: "exec", args };
}

function jsonList(rest: string): string[] | undefined {
  if (!rest.trimStart().startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(rest);
    return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}
