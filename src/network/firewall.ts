/**
 * The packet filter as it should be, and its upkeep. Changes are handed to nft in the order they come; those that come
 * while nft is at work go together in one transaction. What another program takes away (a firewall that loads its
 * rules anew, often) is noticed within a second and put back.
 */
import { createHash } from "node:crypto";
import { messageOf } from "../contract/errors.ts";
import type { Logger } from "../contract/logger.ts";
import { listTable, runNft } from "../host/network/nft.ts";
import { NftGeneration } from "../host/network/nft-generation.ts";
import { noTable, type Redirect, type RuleFacts, redirectChange, ruleset } from "./rules.ts";

type Facts = Omit<RuleFacts, "table">;

interface Pending {
  readonly script: () => string;
  readonly done: PromiseWithResolvers<void>;
}

export interface FirewallOptions {
  readonly table: string;
  /** Asked whenever the whole table is written. */
  readonly facts: () => Facts;
  /** Called when the redirects hold, or hold no longer: flows that began before go on as they did. */
  readonly forgetFlows: (change: "add" | "delete", redirects: readonly Redirect[]) => void;
  readonly log: Logger;
}

export class Firewall {
  readonly #table: string;
  readonly #facts: () => Facts;
  readonly #forgetFlows: FirewallOptions["forgetFlows"];
  readonly #log: Logger;
  #pending: Pending[] = [];
  #working: Promise<void> | undefined;
  #generation: NftGeneration | undefined;
  /** Of the rule set after our last look at it. */
  #seen = -1;
  #print = "";
  #stands = false;

  constructor({ table, facts, forgetFlows, log }: FirewallOptions) {
    this.#table = table;
    this.#facts = facts;
    this.#forgetFlows = forgetFlows;
    this.#log = log;
  }

  get stands(): boolean {
    return this.#stands;
  }

  /** Writes the whole table. */
  async establish(): Promise<void> {
    const work = this.#submit(() => ruleset({ table: this.#table, ...this.#facts() }));
    this.#stands = true;
    await work;
  }

  async change(change: "add" | "delete", redirects: readonly Redirect[]): Promise<void> {
    if (redirects.length === 0 || !this.#stands) return;
    await this.#submit(() => redirectChange(this.#table, change, redirects));
    this.#forgetFlows(change, redirects);
  }

  /** The same after a time in which nobody looked, or the table was not there. */
  async establishAgain(): Promise<void> {
    await this.establish();
    this.#forgetFlows("add", this.#facts().redirects);
  }

  /** Takes the table away. */
  async remove(): Promise<void> {
    const work = this.#submit(() => noTable(this.#table));
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
    const print = await this.#look();
    if (this.#working !== undefined) return false;
    this.#seen = generation;
    if (print === this.#print) return false;
    this.#log.warn("another program changed the packet filter's table of Hull: it is put back", {
      table: this.#table,
    });
    await this.establishAgain();
    return true;
  }

  close(): void {
    this.#generation?.[Symbol.dispose]();
    this.#generation = undefined;
  }

  #submit(script: () => string): Promise<void> {
    const pending = { script, done: Promise.withResolvers<void>() };
    this.#pending.push(pending);
    this.#working ??= this.#work();
    return pending.done.promise;
  }

  async #work(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      try {
        await runNft(batch.map(({ script }) => script()).join(""));
        for (const { done } of batch) done.resolve();
      } catch (error) {
        // One that nft refuses must not fail the others.
        if (batch.length === 1) for (const { done } of batch) done.reject(error);
        else await this.#oneByOne(batch);
      }
    }
    await this.#remember();
    this.#working = undefined;
    if (this.#pending.length > 0) this.#working = this.#work();
  }

  async #oneByOne(batch: readonly Pending[]): Promise<void> {
    for (const { script, done } of batch) {
      try {
        await runNft(script());
        done.resolve();
      } catch (error) {
        done.reject(error);
      }
    }
  }

  async #remember(): Promise<void> {
    try {
      this.#generation ??= new NftGeneration();
      this.#seen = this.#generation.current();
      this.#print = await this.#look();
    } catch (error) {
      this.#log.warn("could not look at the packet filter", { why: messageOf(error) });
    }
  }

  async #look(): Promise<string> {
    const text = await listTable("inet", this.#table);
    return text === undefined ? "" : createHash("sha256").update(text).digest("hex");
  }
}
