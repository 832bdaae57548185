/** /volumes of the Engine API: files that outlive workloads. */
import type { VolumeCreateRequest, VolumePruneResponse, VolumeView } from "../contract/docker.ts";
import { type Filters, filtersQuery } from "./filters.ts";
import { checked } from "./lazy-schemas.ts";
import type { Transport } from "./transport.ts";

const pathOf = (name: string): string => `/volumes/${encodeURIComponent(name)}`;

export class Volumes {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(options: { readonly filters?: Filters | undefined } = {}): Promise<VolumeView[]> {
    const query = { filters: filtersQuery(options.filters) };
    const { Volumes } = await checked("volumeList", await this.#transport.json("GET", "/volumes", { query }));
    return Volumes ?? [];
  }

  /** One of that name that is there already is given back; without a name, one is made up. */
  async create(request: VolumeCreateRequest = {}): Promise<VolumeView> {
    return checked("volume", await this.#transport.json("POST", "/volumes/create", { json: request }));
  }

  async inspect(name: string): Promise<VolumeView> {
    return checked("volume", await this.#transport.json("GET", pathOf(name)));
  }

  /** Refused while a workload has it; `force`: one that is not there is no error. */
  async remove(name: string, options: { readonly force?: boolean | undefined } = {}): Promise<void> {
    await this.#transport.call("DELETE", pathOf(name), { query: { force: options.force } });
  }

  /** Takes away those that no workload has: anonymous ones, unless the filter `all` says otherwise. */
  async prune(options: { readonly filters?: Filters | undefined } = {}): Promise<VolumePruneResponse> {
    const query = { filters: filtersQuery(options.filters) };
    return checked("volumePrune", await this.#transport.json("POST", "/volumes/prune", { query }));
  }
}
