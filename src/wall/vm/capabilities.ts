/** Capabilities as the agent takes them. */
import { capabilityNames } from "../../contract/capabilities.ts";
import { HullError } from "../../contract/errors.ts";

/** One bit per capability. */
export function capabilityMask(capabilities: readonly string[]): bigint {
  return capabilities.reduce((mask, name) => {
    const number = capabilityNames.indexOf(name);
    if (number < 0)
      throw new HullError("invalidParameter", {
        what: "capability",
        value: name,
        why: "the guest's kernel has none of that name",
      });
    return mask | (1n << BigInt(number));
  }, 0n);
}
