/**
 * Whether the host passes packets on. Hull turns it on with the first network that has a way out, and off again when
 * the last is gone, if it was off before; the fact that it was is recorded before the change. The record is of one life
 * of the kernel and one network namespace: what is on after the host was started anew, somebody else turned on.
 */
import { readFileSync, statSync } from "node:fs";
import { readNetworkSetting, writeNetworkSetting } from "../../host/network/sysctl.ts";
import type { NetworkRecords } from "../records/records.ts";

const settings = { 4: "ipv4/ip_forward", 6: "ipv6/conf/all/forwarding" } as const;
type Family = keyof typeof settings;

export class Forwarding {
  readonly #records: NetworkRecords;

  constructor(records: NetworkRecords) {
    this.#records = records;
  }

  /** Families that Hull turned it on for, so that packets which are none of its business have to stay where they are. */
  get ours(): Family[] {
    return ([4, 6] as const).filter((family) => this.#isOurs(family));
  }

  /** Whether an earlier daemon may have left rules. */
  get everUsed(): boolean {
    return this.#records.fact("rules") === "made";
  }

  noteRules(made: boolean): void {
    if (this.everUsed !== made) this.#records.putFact("rules", made ? "made" : undefined);
  }

  /** Whether it was off. */
  turnOn(family: Family): boolean {
    const name = settings[family];
    if (readNetworkSetting(name) !== "0") return false;
    this.#records.putFact(`forwarding${family}`, presentNetwork());
    writeNetworkSetting(name, "1");
    return true;
  }

  /** `needed`: another daemon's networks are there. It then stays on, for a later life of this daemon to turn off. */
  turnOff(needed: boolean): void {
    for (const family of [4, 6] as const) {
      const fact = `forwarding${family}`;
      if (this.#records.fact(fact) === undefined || (needed && this.#isOurs(family))) continue;
      if (this.#isOurs(family)) writeNetworkSetting(settings[family], "0");
      this.#records.putFact(fact, undefined);
    }
  }

  #isOurs(family: Family): boolean {
    return this.#records.fact(`forwarding${family}`) === presentNetwork();
  }
}

/** The daemon's network namespace in this life of the kernel. */
function presentNetwork(): string {
  const life = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return `${life} ${statSync("/proc/thread-self/ns/net").ino}`;
}
