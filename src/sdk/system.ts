/** What the Engine API and /hull/v1 say about the daemon and its host. */
import type {
  DoctorReport,
  EventMessage,
  SystemDiskUsage,
  SystemInfo,
  SystemVersion,
} from "../contract/docker.ts";
import { type Filters, filtersQuery } from "./filters.ts";
import { jsonLines } from "./json-lines.ts";
import { checked } from "./lazy-schemas.ts";
import type { Transport } from "./transport.ts";

export interface EventsOptions {
  /** Seconds since the epoch; past events from then on come first. */
  readonly since?: string | undefined;
  /** The stream ends then. */
  readonly until?: string | undefined;
  readonly filters?: Filters | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class System {
  readonly #transport: Transport;
  readonly #unversioned: Transport;

  constructor(transport: Transport, unversioned: Transport) {
    this.#transport = transport;
    this.#unversioned = unversioned;
  }

  async ping(): Promise<void> {
    await this.#unversioned.call("GET", "/_ping");
  }

  async version(): Promise<SystemVersion> {
    return checked("version", await this.#transport.json("GET", "/version"));
  }

  async info(): Promise<SystemInfo> {
    return checked("info", await this.#transport.json("GET", "/info"));
  }

  async diskUsage(): Promise<SystemDiskUsage> {
    return checked("diskUsage", await this.#transport.json("GET", "/system/df"));
  }

  async doctor(): Promise<DoctorReport> {
    return checked("doctor", await this.#unversioned.json("GET", "/hull/v1/doctor"));
  }

  async *events(options: EventsOptions = {}): AsyncGenerator<EventMessage, void, void> {
    const query = { since: options.since, until: options.until, filters: filtersQuery(options.filters) };
    const answer = await this.#transport.request("GET", "/events", { query, signal: options.signal });
    for await (const value of jsonLines(answer)) yield checked("event", value);
  }
}
