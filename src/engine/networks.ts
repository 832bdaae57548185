/** Networks as the API sees them: with their events, and with the workloads that use them. */
import { HullError } from "../contract/errors.ts";
import type { Traffic } from "../host/network/links.ts";
import type { CreateNetworkRequest } from "../network/networks/networks.ts";
import type {
  EndpointRequest,
  NetworkRecord,
  PortRequest,
  WorkloadRecord,
} from "../network/records/types.ts";
import type { Connected } from "../network/room.ts";
import type { PolicyChange } from "../network/workloads/policy.ts";
import type { EngineContext } from "./context.ts";
import { requirePresent } from "./life-cycle.ts";
import type { Workload } from "./workload.ts";

export class Networks {
  readonly #context: EngineContext;

  constructor(context: EngineContext) {
    this.#context = context;
  }

  /** Why networks cannot be made on this host; undefined when they can. */
  unavailable(): Promise<string | undefined> {
    return this.#context.networks.unavailable();
  }

  list(): NetworkRecord[] {
    return this.#context.networks.list();
  }

  find(word: string): NetworkRecord {
    return this.#context.networks.find(word);
  }

  users(network: NetworkRecord): WorkloadRecord[] {
    return this.#context.networks.users(network);
  }

  /** What is recorded of a workload's connections; undefined for one that is being removed. */
  of(workload: Workload): WorkloadRecord | undefined {
    return this.#context.networks.workload(workload.id);
  }

  traffic(workload: Workload): ReadonlyMap<string, Traffic> {
    return workload.live ? this.#context.networks.traffic(workload.id) : new Map();
  }

  create(request: CreateNetworkRequest): NetworkRecord {
    const network = this.#context.networks.create(request);
    this.#emit(network, "create");
    return network;
  }

  async remove(network: NetworkRecord): Promise<void> {
    await this.#context.networks.remove(network);
    this.#emit(network, "destroy");
  }

  async connect(network: NetworkRecord, workload: Workload, request: EndpointRequest): Promise<void> {
    using _lock = await workload.lock.acquire();
    requirePresent(workload);
    await this.#requireTold(workload);
    const change = await this.#context.networks.connect(workload.id, network, request);
    await this.#apply(workload, change).catch(async (error: unknown) => {
      await this.#context.networks.disconnect(workload.id, network);
      throw error;
    });
    this.#emit(network, "connect", { container: workload.id });
  }

  /** `force`: a workload that is gone is no error. */
  async disconnect(network: NetworkRecord, workload: Workload, force: boolean): Promise<void> {
    using _lock = await workload.lock.acquire();
    if (!force) requirePresent(workload);
    await this.#requireTold(workload);
    await this.#apply(workload, await this.#context.networks.disconnect(workload.id, network));
    this.#emit(network, "disconnect", { container: workload.id });
  }

  async publish(
    workload: Workload,
    add: readonly PortRequest[],
    remove: readonly PortRequest[],
  ): Promise<void> {
    using _lock = await workload.lock.acquire();
    requireSettled(workload);
    await this.#context.networks.publish(workload.id, add, remove);
  }

  async changePolicy(workload: Workload, change: PolicyChange): Promise<void> {
    using _lock = await workload.lock.acquire();
    requireSettled(workload);
    await this.#context.networks.changePolicy(workload.id, change);
  }

  /** A kernel of its own that stands still can be told nothing of its network. */
  async #requireTold({ state, record: { name, wall } }: Workload): Promise<void> {
    if (state !== "paused" || (await this.#context.walls[wall].features()).sharesKernel) return;
    throw new HullError("workloadPaused", { name });
  }

  async #apply(workload: Workload, change: Connected): Promise<void> {
    if (!change.live || !workload.live) return;
    await workload.sandbox?.changeNetwork(change);
  }

  #emit(network: NetworkRecord, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    this.#context.events.emit("network", action, network.id, {
      name: network.name,
      type: network.driver,
      ...attributes,
    });
  }
}

function requireSettled(workload: Workload): void {
  requirePresent(workload);
  if (workload.state === "restarting")
    throw new HullError("conflict", { what: `container ${workload.record.name} is restarting: try again` });
}
