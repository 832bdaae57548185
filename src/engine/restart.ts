/** Restart policies: pure decisions about what happens after a workload ended. */
import { HullError } from "../contract/errors.ts";

type RestartPolicyName = "no" | "always" | "unless-stopped" | "on-failure";

export interface RestartPolicy {
  readonly name: RestartPolicyName;
  /** For `on-failure`: most restarts; 0: no limit. */
  readonly maximumRetryCount: number;
}

export const noRestart: RestartPolicy = { name: "no", maximumRetryCount: 0 };

export function parseRestartPolicy(name: string, maximumRetryCount: number): RestartPolicy {
  const known = (["no", "always", "unless-stopped", "on-failure"] as const).find(
    (policy) => policy === (name === "" ? "no" : name),
  );
  if (known === undefined)
    throw new HullError("invalidParameter", {
      what: "restart policy",
      value: name,
      why: "use no, always, unless-stopped or on-failure[:max-retries]",
    });
  if (maximumRetryCount < 0 || (maximumRetryCount > 0 && known !== "on-failure"))
    throw new HullError("invalidParameter", {
      what: "maximum retry count",
      value: maximumRetryCount,
      why: "it goes with on-failure only and is not negative",
    });
  return { name: known, maximumRetryCount };
}

/** Whether a workload that just ended by itself is started again. */
export function restartsAfterExit(policy: RestartPolicy, exitCode: number, restartCount: number): boolean {
  switch (policy.name) {
    case "no":
      return false;
    case "always":
    case "unless-stopped":
      return true;
    case "on-failure":
      return exitCode !== 0 && (policy.maximumRetryCount === 0 || restartCount < policy.maximumRetryCount);
  }
}

const firstDelay = 100;
const longestDelay = 60_000;
const steadyAfter = 10_000;

/** Milliseconds to wait before the next start; a workload that ran for a while begins anew. */
export function nextDelay(previous: number, ranFor: number): number {
  return previous === 0 || ranFor >= steadyAfter ? firstDelay : Math.min(previous * 2, longestDelay);
}
