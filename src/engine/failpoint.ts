/**
 * Fault injection for tests: `HULL_FAILPOINT=STEP:kill` ends the daemon with SIGKILL right after that step was
 * done, `STEP:error` makes the step fail there. `STEP:kill:N` acts on the N-th time only. Steps are named in
 * plan.ts. Read once by the daemon; nothing else sets it.
 */
import { HullError } from "../contract/errors.ts";

export type Failpoint = (step: string) => void;

export const noFailpoint: Failpoint = () => {};

export function parseFailpoint(text: string | undefined): Failpoint {
  if (text === undefined || text === "") return noFailpoint;
  const match = /^([a-z:-]+?):(kill|error)(?::([1-9]\d*))?$/.exec(text);
  if (match === null)
    throw new HullError("invalidParameter", {
      what: "HULL_FAILPOINT",
      value: text,
      why: "write STEP:kill or STEP:error",
    });
  const [, target, action] = match;
  let countdown = Number(match[3] ?? "1");
  return (step) => {
    if (step !== target || --countdown !== 0) return;
    if (action === "kill") process.kill(process.pid, "SIGKILL");
    throw new HullError("internal", { what: `failpoint after step ${step}` });
  };
}
