/** Settings of the network (/proc/sys/net) in the namespace that the calling thread is in: at home, the daemon's own. */
import { readFileSync, writeFileSync } from "node:fs";
import { errnoNameOf } from "../system-error.ts";

/** Undefined when this kernel has no such setting. */
export function readNetworkSetting(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/net/${name}`, "utf8").trim();
  } catch (error) {
    if (errnoNameOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** False when this kernel has no such setting. Throws when it may not be written. */
export function writeNetworkSetting(name: string, value: string): boolean {
  try {
    writeFileSync(`/proc/sys/net/${name}`, value);
    return true;
  } catch (error) {
    if (errnoNameOf(error) === "ENOENT") return false;
    throw error;
  }
}
