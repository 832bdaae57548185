/**
 * The ways to a running guest: the connection to its agent, and QEMU's monitor, which makes the machine stand still and go on.
 * Every error that comes of them is one for the user.
 */
import { HullError, messageOf } from "../../contract/errors.ts";
import type { AgentConnection } from "./agent.ts";
import { explainAgent } from "./failures.ts";
import { type FieldReader, FieldWriter } from "./fields.ts";
import { verbs } from "./protocol.ts";
import { qmp } from "./qmp.ts";
import type { Verb } from "./questions.ts";
import { clockNow } from "./start.ts";
import { Wakefulness } from "./wakefulness.ts";

export interface GuestLinkOptions {
  /** The workload's, for errors. */
  readonly name: string;
  readonly monitorSocket: string;
  readonly hasEnded: () => boolean;
}

const nothing = (): void => undefined;

export class GuestLink {
  readonly #options: GuestLinkOptions;
  readonly #wakefulness: Wakefulness;
  #connection: Promise<AgentConnection> | undefined;
  #reconnect: (() => void) | undefined;
  #paused = false;

  constructor(options: GuestLinkOptions) {
    this.#options = options;
    this.#wakefulness = new Wakefulness({
      sleeps: () => this.#paused && !options.hasEnded(),
      goOn: () => this.#goOn(),
      stop: () => this.#monitor("stop"),
    });
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Undefined when there is none, or it could not be made. */
  get connection(): Promise<AgentConnection | undefined> {
    return this.#connection?.catch(() => undefined) ?? Promise.resolve(undefined);
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  connect(connection: Promise<AgentConnection>): void {
    this.#connection = connection;
  }

  /** The machine was found paused: its agent can be asked nothing until it goes on, when `reconnect` is called. */
  foundPaused(reconnect: () => void): void {
    this.#paused = true;
    this.#reconnect = reconnect;
  }

  /** Of a workload that is not paused. */
  agent(): Promise<AgentConnection> {
    const { name, hasEnded } = this.#options;
    if (this.#paused && !hasEnded()) return Promise.reject(new HullError("workloadPaused", { name }));
    return this.open();
  }

  /** Of one that may be. */
  async open(): Promise<AgentConnection> {
    const { name, hasEnded } = this.#options;
    if (hasEnded() || this.#connection === undefined) throw new HullError("workloadNotRunning", { name });
    try {
      return await this.#connection;
    } catch (error) {
      throw explainAgent(error, name);
    }
  }

  /** Asks the agent for something, and reads what it answers. */
  async request<Answer>(
    verb: Verb,
    fields: FieldWriter,
    read: (answer: FieldReader) => Answer,
    timeout?: number,
  ): Promise<Answer> {
    const agent = await this.agent();
    try {
      return read(await agent.request(verb, fields, timeout));
    } catch (error) {
      throw explainAgent(error, this.#options.name);
    }
  }

  /** The workload stands still within the guest, too: the machine may have to go on for its files. */
  async pause(): Promise<void> {
    await this.request(verbs.freeze, new FieldWriter().u8(1), nothing);
    await this.#monitor("stop");
    this.#paused = true;
  }

  async resume(): Promise<void> {
    // Whoever worked with its files has it stop again, which must not come after this.
    this.#paused = false;
    try {
      await this.#wakefulness.settled();
      await this.#goOn();
    } catch (error) {
      this.#paused = true;
      throw error;
    }
    if (!this.#options.hasEnded()) await this.request(verbs.freeze, new FieldWriter().u8(0), nothing);
  }

  /** Has a paused machine go on, its workload not, until released. */
  async awake(): Promise<() => void> {
    return this.#paused ? await this.#wakefulness.awake() : nothing;
  }

  /** Lets the connection go. */
  letGo(): void {
    void this.connection.then((agent) => agent?.close());
  }

  /** The machine goes on; what stands still in it does not. */
  async #goOn(): Promise<void> {
    const { name, hasEnded } = this.#options;
    await this.#monitor("cont");
    const reconnect = this.#reconnect;
    this.#reconnect = undefined;
    reconnect?.();
    if (hasEnded()) return;
    const agent = await this.open();
    await agent.request(verbs.setClock, new FieldWriter().u64(clockNow())).catch((error: unknown) => {
      throw explainAgent(error, name);
    });
  }

  async #monitor(command: "stop" | "cont"): Promise<void> {
    const { name, hasEnded, monitorSocket } = this.#options;
    if (hasEnded()) throw new HullError("workloadNotRunning", { name });
    const agent = await this.connection;
    if (command === "stop") agent?.standStill();
    try {
      await qmp(monitorSocket, command);
      if (command === "cont") agent?.goOn();
    } catch (error) {
      if (command === "stop") agent?.goOn();
      throw new HullError("agentFailed", { name, why: messageOf(error) }, { cause: error });
    }
  }
}
