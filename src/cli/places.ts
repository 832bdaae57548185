/** Which daemon the command line means: from flags, the environment, or Hull's defaults. */
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
  /** What was said on the command line; what was not is left to the daemon. */
  readonly root: string | undefined;
  readonly state: string | undefined;
  readonly config: string | undefined;
  readonly socket: string;
  /** Whether the command line or the environment named the socket. */
  readonly socketGiven: boolean;
}

export function placesOf(
  options: Options<typeof placeFlags>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Places {
  const host = options.host.at(-1);
  const given =
    options.socket ??
    (host === undefined ? undefined : socketOfHost("--host", host)) ??
    nonEmpty(env.HULL_SOCKET) ??
    (nonEmpty(env.HULL_HOST) === undefined ? undefined : socketOfHost("HULL_HOST", env.HULL_HOST ?? ""));
  const socket = given ?? (options.state === undefined ? defaults.socket : `${options.state}/hull.sock`);
  return {
    root: options.root,
    state: options.state,
    config: options.config,
    socket,
    socketGiven: given !== undefined,
  };
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

function socketOfHost(what: string, host: string): string {
  const path = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
  if (path === undefined)
    throw new UsageError(`invalid argument "${host}" for ${what}: use unix:///path/of/the/socket`);
  return path;
}
