/**
 * The vocabulary of the wall. Docker's `HostConfig.Isolation` (and the CLI's `--isolation`) picks it.
 */

/** The isolation boundary a workload runs behind. */
export type WallKind = "container" | "vm";

/**
 * How a wall is shown to people: a vm wall without hardware virtualization is never shown as a plain `vm`, nor is one
 * of which that is not known yet.
 */
export type WallLabel = "container" | "vm" | "vm (tcg)" | "vm (untried)";

const accepted: Readonly<Record<string, WallKind>> = {
  "": "container",
  default: "container",
  process: "container",
  container: "container",
  vm: "vm",
  hyperv: "vm",
};

/** Every spelling of an isolation that is accepted, for error messages. */
export const acceptedIsolations: readonly string[] = Object.keys(accepted).filter((name) => name !== "");

/** The wall that `isolation` asks for, or undefined for a word that names none. Docker compares it without regard to case. */
export function wallOfIsolation(isolation: string): WallKind | undefined {
  const key = isolation.toLowerCase();
  return Object.hasOwn(accepted, key) ? accepted[key] : undefined;
}
