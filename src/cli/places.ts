/** Which daemon the command line means: from flags, the environment, the daemon's configuration, or Hull's defaults. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { defaults } from "../contract/defaults.ts";
import { type Flags, list, type Options, text, UsageError } from "./parse/options.ts";

/** Flags before the verb; `hull daemon` takes them after it, too. */
export const placeFlags = {
  root: text("DIR", `State that outlives a reboot (default ${defaults.root})`),
  state: text("DIR", `State that does not (default ${defaults.state})`),
  socket: text("PATH", `The daemon's socket (default ${defaults.socket}, or hull.sock in --state)`),
  host: list("URL", "The daemon's socket as unix://PATH, as Docker's clients write it", "H"),
  config: text("FILE", `The daemon's configuration (default ${defaults.config})`),
} as const satisfies Flags;

export interface Places {
  /** undefined: left to the daemon, as is all that was not given. */
  readonly root: string | undefined;
  readonly config: string | undefined;
  readonly state: string;
  readonly stateGiven: boolean;
  readonly socket: string;
  /** Whether the command line or the environment named the socket. */
  readonly socketGiven: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function placesOf(options: Options<typeof placeFlags>, env: Environment = process.env): Places {
  // The daemon that is started for this command works in another directory.
  const absolute = (path: string | undefined) => (path === undefined ? undefined : resolve(path));
  const given = absolute(givenSocket(options, env));
  const state = absolute(options.state);
  const config = absolute(options.config);
  const configured = given === undefined ? configuredPlaces(config ?? defaults.config) : {};
  const usedState = state ?? configured.state ?? defaults.state;
  const fromState =
    state === undefined ? (configured.socket ?? `${usedState}/hull.sock`) : `${state}/hull.sock`;
  return {
    root: absolute(options.root),
    config,
    state: usedState,
    stateGiven: state !== undefined,
    socket: given ?? fromState,
    socketGiven: given !== undefined,
  };
}

function givenSocket(options: Options<typeof placeFlags>, env: Environment): string | undefined {
  const { socket } = options;
  if (socket !== undefined) return socketOfHost("--socket", socket);
  const host = options.host.at(-1);
  if (host !== undefined) return socketOfHost("--host", host);
  for (const name of ["HULL_SOCKET", "HULL_HOST"]) {
    const value = env[name];
    if (value !== undefined && value !== "") return socketOfHost(name, value);
  }
  return undefined;
}

/** A path, or a path as a URL. */
function socketOfHost(what: string, value: string): string {
  if (!value.includes("://")) return value;
  const path = /^unix:\/\/(\/.+)$/.exec(value)?.[1];
  if (path === undefined)
    throw new UsageError(`invalid argument "${value}" for ${what}: use unix:///path/of/the/socket`);
  return path;
}

/** What the daemon will read, too; whether the file is right is the daemon's to say. */
function configuredPlaces(file: string): { readonly state?: string; readonly socket?: string } {
  try {
    const config: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof config !== "object" || config === null) return {};
    const state = "state" in config && typeof config.state === "string" ? { state: config.state } : {};
    const socket = "socket" in config && typeof config.socket === "string" ? { socket: config.socket } : {};
    return { ...state, ...socket };
  } catch {
    return {};
  }
}
