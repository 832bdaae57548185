/**
 * The packet filter as it should be, and its upkeep: what leads and parts networks (rules.ts), what ports of bridges may
 * send (guard.ts), and what restricted workloads may reach (egress/rules.ts), each in a table of its own.
 *
 * Changes are handed to nft in the order they come; those that come while nft is at work go together in one transaction.
 * Elements that every start brings are put in through netlink instead. What another program takes away (a firewall that
 * loads its rules anew, often) is noticed within a second and put back.
 */
import { createHash } from "node:crypto";
import { messageOf } from "../../contract/errors.ts";
import type { Logger } from "../../contract/logger.ts";
import { listTable, runNft } from "../../host/network/nft.ts";
import { NftElements, type SetChange, type SetPlace } from "../../host/network/nft-elements.ts";
import { NftGeneration } from "../../host/network/nft-generation.ts";
import { errnoNameOf } from "../../host/system-error.ts";
import type { Egress, Grant } from "../egress/egress.ts";
import {
  egressChange,
  egressRuleset,
  egressTable,
  type Granted,
  type Restriction,
  setsOf,
} from "../egress/rules.ts";
import { type GuardedPort, guardElements, guardRuleset, guardSets, keyText, noGuard } from "./guard.ts";
import { noTable, type Redirect, type RuleFacts, redirectChange, ruleset } from "./rules.ts";

type Facts = Omit<RuleFacts, "table">;
type Table = "main" | "guard" | "egress";

interface Pending {
  readonly script: () => string;
  /** Tables that look different afterwards. */
  readonly tables: readonly Table[];
  readonly done: PromiseWithResolvers<void>;
}

export interface FirewallOptions {
  readonly table: string;
  /** Asked whenever the whole table is written. */
  readonly facts: () => Facts;
  /** Asked whenever its own table is. */
  readonly egress: Egress;
  /** Called when the redirects hold, or hold no longer: flows that began before go on as they did. */
  readonly forgetFlows: (change: "add" | "delete", redirects: readonly Redirect[]) => void;
  readonly log: Logger;
}

export class Firewall {
  readonly #table: string;
  readonly #facts: () => Facts;
  readonly #forgetFlows: FirewallOptions["forgetFlows"];
  readonly #egress: Egress;
  readonly #log: Logger;
  /** By the host's end of the cable. */
  readonly #guarded = new Map<string, GuardedPort>();
  #pending: Pending[] = [];
  #working: Promise<void> | undefined;
  /** Ends when the script that nft is carrying out has been; what it says was decided when it began. */
  #script: Promise<void> | undefined;
  #generation: NftGeneration | undefined;
  #elements: NftElements | undefined;
  /** Of the rule set after our last look at it. */
  #seen = -1;
  readonly #prints = new Map<Table, string>();
  /** What the table of restrictions was last written for; undefined: as nobody knows, it is written as a whole. */
  #restricted: readonly Restriction[] | undefined;
  #stands = false;

  constructor({ table, facts, egress, forgetFlows, log }: FirewallOptions) {
    this.#table = table;
    this.#facts = facts;
    this.#egress = egress;
    this.#forgetFlows = forgetFlows;
    this.#log = log;
  }

  get stands(): boolean {
    return this.#stands;
  }

  /** Writes all of the tables. */
  async establish(): Promise<void> {
    const work = this.#submit(
      () =>
        ruleset({ table: this.#table, ...this.#facts() }) +
        guardRuleset(this.#table, [...this.#guarded.values()]) +
        this.#egressText(undefined),
      ["main", "guard", "egress"],
    );
    this.#stands = true;
    await work;
  }

  /** The same after a time in which nobody looked, or the tables were not there. */
  async establishAgain(): Promise<void> {
    await this.establish();
    this.#forgetFlows("add", this.#facts().redirects);
  }

  /** Binds ports of bridges to their addresses, from before they are there; known to all tables that are written later. */
  async guard(ports: readonly GuardedPort[]): Promise<void> {
    for (const port of ports) this.#guarded.set(port.link, port);
    await this.#changeElements(this.#guardChanges("add", ports));
  }

  async unguard(links: readonly string[]): Promise<void> {
    const ports = links.flatMap((link) => this.#guarded.get(link) ?? []);
    for (const link of links) this.#guarded.delete(link);
    await this.#changeElements(this.#guardChanges("delete", ports));
    // Ports of two networks may have one hardware address.
    const still = [...this.#guarded.values()].filter((port) =>
      ports.some(({ hardware }) => hardware === port.hardware),
    );
    if (still.length > 0) await this.#changeElements(this.#guardChanges("add", still));
  }

  /** Makes the rules about restricted workloads fit those that there are. */
  async restrict(): Promise<void> {
    if (this.#stands) await this.#submit(() => this.#egressText(this.#restricted), ["egress"]);
  }

  /** Lets restricted workloads reach these addresses, for their time. */
  async permit(grants: readonly Grant[]): Promise<void> {
    const table = egressTable(this.#table);
    const changes = (what: SetChange["do"]): SetChange[] =>
      grants.map(({ set, address, timeout }) => ({
        ...{ do: what, family: "inet", table, set, elements: [{ key: [address], timeout }] },
      }));
    // One that is there keeps the time it has unless it goes first.
    await this.#changeElements([...changes("delete"), ...changes("add")]);
  }

  /** Addresses that an earlier daemon let a workload reach. */
  adopt(restriction: Restriction): void {
    this.#elements ??= new NftElements();
    for (const { set, reach } of setsOf(restriction))
      this.#egress.adopt(
        restriction.id,
        reach,
        this.#elements.list({ family: "inet", table: egressTable(this.#table), set }),
      );
  }

  async change(change: "add" | "delete", redirects: readonly Redirect[]): Promise<void> {
    if (redirects.length === 0 || !this.#stands) return;
    await this.#submit(() => redirectChange(this.#table, change, redirects), ["main"]);
    this.#forgetFlows(change, redirects);
  }

  /** Takes the tables away. */
  async remove(): Promise<void> {
    const work = this.#submit(() => {
      this.#restricted = undefined;
      return noTable(this.#table) + noGuard(this.#table) + noTable(egressTable(this.#table));
    }, ["main", "guard", "egress"]);
    // At once: a network that comes up meanwhile has the table written after this.
    this.#stands = false;
    await work;
  }

  /** Puts back what somebody took away or changed; true when there was something to do. */
  async mend(): Promise<boolean> {
    if (!this.#stands || this.#working !== undefined) return false;
    this.#generation ??= new NftGeneration();
    const generation = this.#generation.current();
    if (generation === this.#seen) return false;
    const prints = await Promise.all(
      tables.map(async (table) => (await this.#look(table)) === this.#prints.get(table)),
    );
    if (this.#working !== undefined) return false;
    this.#seen = generation;
    if (prints.every(Boolean) && this.#guardIsWhole()) return false;
    this.#log.warn("another program changed the packet filter's table of Hull: it is put back", {
      table: this.#table,
    });
    await this.establishAgain();
    return true;
  }

  close(): void {
    this.#generation?.[Symbol.dispose]();
    this.#generation = undefined;
    this.#elements?.[Symbol.dispose]();
    this.#elements = undefined;
  }

  /** Scripts are carried out in the order they are made in, so the next one starts from what this one says. */
  #egressText(before: readonly Restriction[] | undefined): string {
    const now = this.#egress.restrictions;
    const granted: Granted = (restriction, set) => this.#egress.granted(restriction, set);
    this.#restricted = now;
    return before === undefined
      ? egressRuleset(this.#table, now, granted)
      : egressChange(this.#table, before, now, granted);
  }

  #guardChanges(change: SetChange["do"], ports: readonly GuardedPort[]): SetChange[] {
    const elements = guardElements(ports);
    return guardSets
      .filter((set) => elements[set].length > 0)
      .map((set) => ({ ...this.#guardPlace(set), do: change, elements: elements[set] }));
  }

  #guardPlace(set: (typeof guardSets)[number]): SetPlace {
    return { family: "bridge", table: this.#table, set };
  }

  async #changeElements(changes: readonly SetChange[]): Promise<void> {
    if (changes.length === 0) return;
    // It may have been written before this was known.
    if (this.#script !== undefined) await this.#script;
    this.#elements ??= new NftElements();
    this.#generation ??= new NftGeneration();
    const before = this.#generation.current();
    try {
      this.#elements.change(changes);
    } catch (error) {
      if (errnoNameOf(error) !== "ENOENT") throw error;
      // Somebody took the table away: it is put back with what is wanted now. One that is not made yet will have it.
      if (this.#stands) await this.establish();
      return;
    }
    // Unless somebody else changed something between, it is as we left it.
    if (this.#seen === before && this.#generation.current() === before + 1) this.#seen = before + 1;
  }

  /** Whether the guard has all of its elements. */
  #guardIsWhole(): boolean {
    this.#elements ??= new NftElements();
    const expected = guardElements([...this.#guarded.values()]);
    for (const set of guardSets) {
      const there = new Set(this.#elements.list(this.#guardPlace(set)).map(({ key }) => key.toString("hex")));
      if (expected[set].some((element) => !there.has(keyText(element)))) return false;
    }
    return true;
  }

  #submit(script: () => string, tables: readonly Table[]): Promise<void> {
    const pending = { script, tables, done: Promise.withResolvers<void>() };
    this.#pending.push(pending);
    this.#working ??= this.#work();
    return pending.done.promise;
  }

  async #work(): Promise<void> {
    const touched = new Set<Table>();
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      for (const { tables: changed } of batch) for (const table of changed) touched.add(table);
      try {
        await this.#carryOut(batch.map(({ script }) => script()).join(""));
        for (const { done } of batch) done.resolve();
      } catch {
        // One that nft refuses must not fail the others, nor one that is about a table as it is no more.
        this.#restricted = undefined;
        await this.#oneByOne(batch);
      }
    }
    await this.#remember([...touched]);
    this.#working = undefined;
    if (this.#pending.length > 0) this.#working = this.#work();
  }

  async #oneByOne(batch: readonly Pending[]): Promise<void> {
    for (const { script, done } of batch) {
      try {
        await this.#carryOut(script());
        done.resolve();
      } catch (error) {
        this.#restricted = undefined;
        done.reject(error);
      }
    }
  }

  async #carryOut(script: string): Promise<void> {
    const carriedOut = runNft(script);
    this.#script = carriedOut.catch(() => {});
    try {
      await carriedOut;
    } finally {
      this.#script = undefined;
    }
  }

  async #remember(touched: readonly Table[]): Promise<void> {
    try {
      this.#generation ??= new NftGeneration();
      this.#seen = this.#generation.current();
      await Promise.all(touched.map(async (table) => void this.#prints.set(table, await this.#look(table))));
    } catch (error) {
      this.#log.warn("could not look at the packet filter", { why: messageOf(error) });
    }
  }

  /** What changes by itself is left out: elements with a time, and those that every start brings. */
  async #look(table: Table): Promise<string> {
    const [family, name] = table === "guard" ? ["bridge", this.#table] : ["inet", this.#nameOf(table)];
    const text = await listTable(family, name, table !== "main");
    return text === undefined ? "" : createHash("sha256").update(text).digest("hex");
  }

  #nameOf(table: Table): string {
    return table === "egress" ? egressTable(this.#table) : this.#table;
  }
}

const tables: readonly Table[] = ["main", "guard", "egress"];
