/** Networks that connect nothing. */
import { HullError } from "../../contract/errors.ts";
import { defaultNetworkRequest } from "../../network/records/default-request.ts";
import type { WorkloadNetworks } from "../../network/room.ts";

export class FakeNetworks implements WorkloadNetworks {
  /** Ids of workloads that are attached now. */
  readonly attached = new Set<string>();
  readonly registered = new Set<string>();

  /** What the host lacks to make networks. */
  missing: string | undefined;

  follow(): void {}

  unavailable(): Promise<string | undefined> {
    return Promise.resolve(this.missing);
  }

  list(): [] {
    return [];
  }

  find(word: string): never {
    throw new HullError("noSuchNetwork", { name: word });
  }

  users(): [] {
    return [];
  }

  workload(): undefined {
    return undefined;
  }

  traffic(): Map<string, never> {
    return new Map<string, never>();
  }

  register({ id }: { id: string }): void {
    this.registered.add(id);
  }

  changePolicy(): Promise<void> {
    return Promise.resolve();
  }

  requireWall(): void {}

  changeWall(): void {}

  unregister(id: string): void {
    this.registered.delete(id);
  }

  rename(): void {}

  attach(id: string) {
    this.attached.add(id);
    return Promise.resolve({
      namespace: undefined,
      taps: [],
      interfaces: [],
      routes: [],
      hosts: "",
      resolver: "",
      [Symbol.dispose]() {},
    });
  }

  detach(id: string): Promise<void> {
    this.attached.delete(id);
    return Promise.resolve();
  }

  create = this.#none;
  remove = this.#none;
  connect = this.#none;
  disconnect = this.#none;
  publish = this.#none;

  recover(): Promise<void> {
    return Promise.resolve();
  }

  #none(): never {
    throw new HullError("unsupported", {
      what: "a network",
      where: " here",
      why: `${defaultNetworkRequest.mode} only`,
    });
  }
}
