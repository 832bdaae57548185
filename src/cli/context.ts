/** What verbs work with: the daemon, the standard streams, the command line's places. */
import { ConnectionError, connect, type Hull } from "../sdk/main.ts";
import type { Places } from "./places.ts";
import type { Output } from "./print/output.ts";

export class Context {
  readonly places: Places;
  readonly stdout: Output;
  readonly stderr: Output;
  #hull: Promise<Hull> | undefined;

  constructor(places: Places, stdout: Output, stderr: Output) {
    this.places = places;
    this.stdout = stdout;
    this.stderr = stderr;
  }

  /** The daemon; started when none answers. */
  hull(): Promise<Hull> {
    this.#hull ??= this.#connect();
    return this.#hull;
  }

  async #connect(): Promise<Hull> {
    const hull = connect({ socket: this.places.socket });
    try {
      await hull.open();
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      if (error.systemCode === "EACCES")
        throw new Error(`${error.message}: root and the group of socketGroup may use it: try sudo`, {
          cause: error,
        });
      if (!absent.has(error.systemCode ?? "")) throw error;
      const { startDaemon } = await import("./start-daemon.ts");
      await startDaemon(this.places, () => hull.open());
    }
    return hull;
  }
}

/** No socket, or one that a dead daemon left. */
const absent = new Set(["ENOENT", "ECONNREFUSED"]);
