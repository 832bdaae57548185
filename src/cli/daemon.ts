/** `hull daemon`: the daemon itself, in the foreground, for supervisors and for clients that find none. */
import { placeFlags, placesOf } from "./places.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "daemon [OPTIONS]",
  summary: "Runs the daemon in the foreground.",
  flags: placeFlags,
  arguments: [0, 0],
  async action(context, { options, given }) {
    const { runDaemon } = await import("../daemon/main.ts");
    // Said before the verb or after it; the latter counts.
    const { places } = context;
    const own = given.has("socket") || given.has("host") || given.has("state") ? placesOf(options) : places;
    return runDaemon({
      root: options.root ?? places.root,
      state: own.stateGiven ? own.state : places.stateGiven ? places.state : undefined,
      socket: own.socketGiven ? own.socket : undefined,
      config: options.config ?? places.config,
    });
  },
});
