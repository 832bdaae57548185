/** Networks, by name or id. */
import type {
  EndpointSettings,
  NetworkCreateRequest,
  NetworkCreateResponse,
  NetworkResource,
} from "../contract/docker.ts";
import { type Filters, filtersQuery } from "./filters.ts";
import { checked } from "./lazy-schemas.ts";
import type { Transport } from "./transport.ts";

export class Networks {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(options: { readonly filters?: Filters | undefined } = {}): Promise<NetworkResource[]> {
    const query = { filters: filtersQuery(options.filters) };
    return checked("networks", await this.#transport.json("GET", "/networks", { query }));
  }

  async inspect(name: string): Promise<NetworkResource> {
    return checked("network", await this.#transport.json("GET", path(name)));
  }

  async create(request: NetworkCreateRequest): Promise<NetworkCreateResponse> {
    return checked(
      "networkCreated",
      await this.#transport.json("POST", "/networks/create", { json: request }),
    );
  }

  async remove(name: string): Promise<void> {
    await this.#transport.call("DELETE", path(name));
  }

  /** Removes the networks that no workload is on; resolves to their names. */
  async prune(options: { readonly filters?: Filters | undefined } = {}): Promise<readonly string[]> {
    const query = { filters: filtersQuery(options.filters) };
    const answer = await this.#transport.json("POST", "/networks/prune", { query });
    return (await checked("networksPruned", answer)).NetworksDeleted ?? [];
  }

  /** Connects a workload, running or not. */
  async connect(name: string, workload: string, settings: EndpointSettings = {}): Promise<void> {
    const json = { Container: workload, EndpointConfig: settings };
    await this.#transport.call("POST", `${path(name)}/connect`, { json });
  }

  async disconnect(
    name: string,
    workload: string,
    options: { readonly force?: boolean } = {},
  ): Promise<void> {
    const json = { Container: workload, Force: options.force ?? false };
    await this.#transport.call("POST", `${path(name)}/disconnect`, { json });
  }
}

function path(name: string): string {
  return `/networks/${encodeURIComponent(name)}`;
}
