/**
 * Starts a daemon when none answers. Several clients may do so at once: each starts one, the daemons' own lock
 * lets one of them live, and every client connects to whichever answers.
 *
 * This is the one file of the client that starts a process: the daemon is this same program.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readSync } from "node:fs";
import { messageOf } from "../contract/errors.ts";
import type { Places } from "./places.ts";

/** The first start on a slow machine makes state directories and probes the host. */
const startMilliseconds = 60_000;
/** A daemon that lost the race leaves the field to one that may still be starting. */
const rivalMilliseconds = 5000;
/** How a daemon says that another one has the root directory or the socket. */
const rivalWords = "another daemon";

/** `connect` rejects until a daemon answers. */
export async function startDaemon(places: Places, connect: () => Promise<void>): Promise<void> {
  const { state } = places;
  const log = openLog(`${state}/daemon.log`, state);
  try {
    const before = fstatSync(log).size;
    const daemon = Bun.spawn([...program(), "daemon", ...daemonArguments(places)], {
      cwd: "/",
      stdin: "ignore",
      stdout: log,
      stderr: log,
      detached: true,
    });
    // The client may end; the daemon goes on.
    daemon.unref();
    const problem = await waitUntilAnswers(daemon, connect, () => lastLine(log, before));
    if (problem === undefined) return;
    const said = lastLine(log, before);
    throw new Error(`cannot start the hull daemon: ${said === "" ? problem : said}${rootHint()}`);
  } finally {
    closeSync(log);
  }
}

/** What went wrong, or undefined. */
async function waitUntilAnswers(
  daemon: Bun.Subprocess,
  connect: () => Promise<void>,
  said: () => string,
): Promise<string | undefined> {
  let deadline = performance.now() + startMilliseconds;
  let ended = false;
  for (let pause = 2; ; pause = Math.min(pause * 1.5, 50)) {
    const answers = await connect().then(
      () => true,
      () => false,
    );
    if (answers) return undefined;
    if (!ended && (daemon.exitCode !== null || daemon.signalCode !== null)) {
      // The other one may not have got as far as its socket.
      if (!said().includes(rivalWords)) return `it ended with ${daemon.exitCode ?? daemon.signalCode}`;
      ended = true;
      deadline = performance.now() + rivalMilliseconds;
    }
    if (performance.now() > deadline) return `it does not answer after ${startMilliseconds / 1000} s`;
    await Bun.sleep(pause);
  }
}

/** This program: compiled it is one file, in a checkout it is a script that Bun runs. */
function program(): string[] {
  const compiled = import.meta.path.startsWith("/$bunfs/");
  return compiled ? [process.execPath] : [process.execPath, Bun.main];
}

function daemonArguments(places: Places): string[] {
  const flags: string[] = [];
  if (places.root !== undefined) flags.push("--root", places.root);
  if (places.stateGiven) flags.push("--state", places.state);
  if (places.socketGiven) flags.push("--socket", places.socket);
  if (places.config !== undefined) flags.push("--config", places.config);
  return flags;
}

function openLog(path: string, directory: string): number {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    return openSync(path, "a+", 0o600);
  } catch (error) {
    const why = `${messageOf(error)}${rootHint()}`;
    throw new Error(`no hull daemon answers, and none can be started: ${why}`, { cause: error });
  }
}

function rootHint(): string {
  return process.getuid?.() === 0 ? "" : " (the daemon needs root: try sudo)";
}

function lastLine(log: number, from: number): string {
  const size = fstatSync(log).size;
  const bytes = Buffer.alloc(Math.min(16 * 1024, Math.max(0, size - from)));
  readSync(log, bytes, 0, bytes.length, size - bytes.length);
  const lines = bytes.toString("utf8").split("\n");
  return (lines.findLast((line) => line.trim() !== "") ?? "").replace(/^hull: /, "").trim();
}
