/**
 * The network room: networks, and the workloads on them.
 *
 * Life cycle of a workload here:
 *
 *   register -> (connect | disconnect | publish)* -> attach -> (connect | disconnect | publish)* -> detach -> … -> unregister
 *
 * - `register` checks what was asked for, and records it; nothing is made.
 * - `attach` comes before the sandbox is made. It gives the namespace that the sandbox is to join, which lives for as
 *   long as a process is in it or the connection is open. When it throws, nothing is left.
 * - `detach` comes after the sandbox has gone. It is idempotent and works on what a dead daemon left, too.
 * - `answerAgain`, before everything else, has the resolvers that a daemon before had, by what is recorded.
 * - `recover`, once at the start, is told which workloads run: the others are detached, and the packet filter, the
 *   bridges and the resolvers are made to fit.
 *
 * Calls for different workloads may run at once; for one workload the engine holds its lock.
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { messageOf } from "../contract/errors.ts";
import type { WallKind } from "../contract/isolation.ts";
import type { Logger } from "../contract/logger.ts";
import type { Traffic } from "../host/network/links.ts";
import { NetlinkSocket } from "../host/network/netlink.ts";
import { defaultPools, type Pool, pool6 } from "./addresses/ipam.ts";
import { Resolvers } from "./dns/resolvers.ts";
import { Egress } from "./egress/egress.ts";
import { Firewall } from "./firewall/firewall.ts";
import { Forwarding } from "./firewall/forwarding.ts";
import { Bridges } from "./links/bridges.ts";
import { Probe } from "./links/probe.ts";
import type { Interface } from "./links/wiring.ts";
import type { NetworkContext } from "./networks/context.ts";
import { findNetwork } from "./networks/find.ts";
import {
  type CreateNetworkRequest,
  createNetwork,
  ensurePredefined,
  removeNetwork,
  usersOf,
} from "./networks/networks.ts";
import { lowerIdleNetworks, openResolversAgain, ruleFacts } from "./networks/raise.ts";
import { adoptRestriction } from "./policy/protect.ts";
import { forgetStaleFlows } from "./ports/flows.ts";
import { NetworkRecords } from "./records/records.ts";
import type { EndpointRequest, NetworkRecord, PortRequest, WorkloadRecord } from "./records/types.ts";
import { attachWorkload, type Connection, detachWorkload, recoverWorkloads } from "./workloads/attach.ts";
import { type Connected, connectWorkload, disconnectWorkload } from "./workloads/connect.ts";
import { Mender } from "./workloads/mend.ts";
import { changePolicy, type PolicyChange } from "./workloads/policy.ts";
import { changePorts } from "./workloads/publish.ts";
import { changeWall, type Registration, registerWorkload, requireWall } from "./workloads/register.ts";
import { sweepNow } from "./workloads/sweep.ts";
import { trafficOf } from "./workloads/traffic.ts";

export interface NetworkRoomOptions {
  readonly root: string;
  readonly log: Logger;
  /** Name of the default network's bridge; empty: made of the root directory. */
  readonly defaultBridge?: string;
  readonly pools?: readonly Pool[];
}

function hashOf(root: string): Buffer {
  return createHash("sha256").update(root).digest();
}

/** What the interfaces of the daemon with this root directory are marked with, and the name of its table. */
export function tagOf(root: string): string {
  return `hull-${hashOf(root).toString("hex", 0, 5)}`;
}

/** Milliseconds between looks at whether somebody took away what Hull made. */
const mendInterval = 1000;

/** What the engine needs of the networks. */
export type WorkloadNetworks = Omit<NetworkRoom, typeof Symbol.asyncDispose | "answerAgain">;

export class NetworkRoom implements AsyncDisposable {
  readonly #context: NetworkContext;
  readonly #probe = new Probe();
  #processOf: (workload: string) => number | undefined = () => undefined;
  #timer: Timer | undefined;
  #mending: Promise<void> | undefined;

  constructor(options: NetworkRoomOptions) {
    const hash = hashOf(options.root);
    const tag = tagOf(options.root);
    const { log } = options;
    const records = new NetworkRecords(join(options.root, "network.db"), (what, why) =>
      log.error(`forgot ${what}: it cannot be read`, { why }),
    );
    const socket = new NetlinkSocket();
    const egress = new Egress();
    const parts = {
      egress,
      records,
      socket,
      bridges: new Bridges(socket, tag, log),
      forwarding: new Forwarding(records),
      resolvers: new Resolvers({
        directory: records,
        log,
        mayAsk: (workload, name) =>
          workload.endpoints.some(({ network }) => records.networks.get(network)?.internal === false) &&
          egress.mayAsk(workload.id, name),
        learn: async ({ id }, name, answer) => {
          const grants = egress.learn(id, name, answer);
          if (grants === undefined) return false;
          if (grants.length > 0) await firewall.permit(grants);
          return true;
        },
      }),
      ports: new Map(),
      raising: new Map<string, Promise<void>>(),
    };
    const firewall = new Firewall({
      table: tag,
      facts: () => ruleFacts(parts),
      egress,
      forgetFlows: (change, redirects) => forgetStaleFlows({ socket, log }, change, redirects),
      log,
    });
    const pools = options.pools ?? defaultPools;
    const processOf = (id: string): number | undefined => this.#processOf(id);
    this.#context = { ...parts, firewall, pools, pool6: pool6(hash), tag, log, processOf };
    ensurePredefined(this.#context, options.defaultBridge ?? `hull${hash.toString("hex", 0, 4)}`);
  }

  /** Told how to find the process that is in a running workload's namespace. */
  follow(processOf: (workload: string) => number | undefined): void {
    this.#processOf = processOf;
  }

  /** Why networks cannot be made on this host; undefined when they can. */
  async unavailable(): Promise<string | undefined> {
    return await this.#probe.look();
  }

  list(): NetworkRecord[] {
    return [...this.#context.records.networks.values()];
  }

  find(word: string): NetworkRecord {
    return findNetwork(this.#context, word);
  }

  create(request: CreateNetworkRequest): NetworkRecord {
    return createNetwork(this.#context, request);
  }

  remove(network: NetworkRecord): Promise<void> {
    return removeNetwork(this.#context, network);
  }

  /** The workloads that have an endpoint on the network, running or not. */
  users(network: NetworkRecord): WorkloadRecord[] {
    return usersOf(this.#context, network.id);
  }

  workload(id: string): WorkloadRecord | undefined {
    return this.#context.records.workloads.get(id);
  }

  /** By interface of the workload; counted from its own view. */
  traffic(id: string): ReadonlyMap<string, Traffic> {
    return trafficOf(this.#context, id);
  }

  register(registration: Registration): void {
    registerWorkload(this.#context, registration);
  }

  unregister(id: string): void {
    this.#context.records.deleteWorkload(id);
  }

  rename(id: string, name: string): void {
    const record = this.workload(id);
    if (record !== undefined) this.#context.records.putWorkload({ ...record, name });
  }

  /** Throws for networks that the workload cannot have behind that wall. */
  requireWall(id: string, wall: WallKind): void {
    const record = this.workload(id);
    if (record !== undefined) requireWall(record, wall);
  }

  /** The workload, which does not run, is behind that wall from now on. */
  changeWall(id: string, wall: WallKind): void {
    changeWall(this.#context, id, wall);
  }

  /** `prepared`: path of a namespace that its sandbox is in already. */
  async attach(id: string, prepared?: string): Promise<Connection> {
    this.#watch();
    return await attachWorkload(this.#context, id, await this.unavailable(), prepared);
  }

  detach(id: string): Promise<void> {
    return detachWorkload(this.#context, id);
  }

  connect(id: string, network: NetworkRecord, request: EndpointRequest): Promise<Connected> {
    this.#watch();
    return connectWorkload(this.#context, id, network, request);
  }

  disconnect(id: string, network: NetworkRecord): Promise<Connected> {
    return disconnectWorkload(this.#context, id, network);
  }

  /** Publishes ports of a workload, and no longer publishes others; on one that runs, at once. */
  publish(id: string, add: readonly PortRequest[], remove: readonly PortRequest[]): Promise<void> {
    return changePorts(this.#context, id, add, remove);
  }

  /** Names are resolved from now on where an earlier daemon did it; `recover` has to follow. */
  answerAgain(): Promise<void> {
    // What a restricted workload may ask about is known first.
    for (const record of this.#context.records.workloads.values())
      if (record.live) adoptRestriction(this.#context, record);
    return openResolversAgain(this.#context);
  }

  /** Changes what a workload may reach, and how fast; on one that runs, at once. */
  changePolicy(id: string, change: PolicyChange): Promise<void> {
    return changePolicy(this.#context, id, change);
  }

  /** `running`: ids of workloads whose sandbox was found again. */
  async recover(running: ReadonlySet<string>, known: ReadonlySet<string>): Promise<void> {
    await recoverWorkloads(this.#context, running, known);
    if (this.#context.bridges.any) this.#watch();
  }

  /** Lets go; workloads keep their connections, and what nobody uses is taken away. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#mending;
    for (const work of [sweepNow, lowerIdleNetworks])
      try {
        await work(this.#context);
      } catch (error) {
        this.#context.log.warn("could not take the idle networks down", { why: messageOf(error) });
      }
    this.#context.resolvers.closeAll();
    for (const held of this.#context.ports.values()) held[Symbol.dispose]();
    this.#context.firewall.close();
    this.#context.socket[Symbol.dispose]();
    this.#context.records[Symbol.dispose]();
  }

  #watch(): void {
    if (this.#timer !== undefined) return;
    const mender = new Mender(this.#context);
    this.#timer = setInterval(() => {
      this.#mending ??= mender
        .look()
        .catch((error: unknown) => {
          this.#context.log.error("could not mend the networks", { why: messageOf(error) });
        })
        .finally(() => {
          this.#mending = undefined;
        });
    }, mendInterval);
    this.#timer.unref();
  }
}

export type { Connected, Connection, Interface };
