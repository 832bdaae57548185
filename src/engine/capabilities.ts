/** The capabilities that a workload gets. */
import { capabilityNames } from "../contract/capabilities.ts";
import { HullError } from "../contract/errors.ts";

/** What Docker leaves a container that asks for nothing. */
export const defaultCapabilities: readonly string[] = [
  "CAP_AUDIT_WRITE",
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_MKNOD",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_RAW",
  "CAP_SETFCAP",
  "CAP_SETGID",
  "CAP_SETPCAP",
  "CAP_SETUID",
  "CAP_SYS_CHROOT",
];

/** The set after `--cap-add` and `--cap-drop`, as Docker computes it; sorted. */
export function capabilitiesOf(add: readonly string[], drop: readonly string[]): string[] {
  const added = add.map(normalize);
  const dropped = drop.map(normalize);
  if (added.includes("ALL")) return capabilityNames.filter((name) => !dropped.includes(name)).sort();
  const kept = dropped.includes("ALL") ? [] : defaultCapabilities.filter((name) => !dropped.includes(name));
  return [...new Set([...kept, ...added])].sort();
}

function normalize(name: string): string {
  const upper = name.toUpperCase();
  if (upper === "ALL") return upper;
  const full = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  if (!capabilityNames.includes(full))
    throw new HullError("invalidParameter", {
      what: "capability",
      value: name,
      why: "Linux has none of that name; see capabilities(7)",
    });
  return full;
}
