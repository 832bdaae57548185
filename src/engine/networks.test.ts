/** Networks changed while workloads run, on fakes: what the wall cannot take over is not said to be so. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { NetworkRecord } from "../network/records/types.ts";
import type { Connected } from "../network/room.ts";
import { EngineBench, requestOf } from "./testing/engine-bench.ts";
import type { Workload } from "./workload.ts";

const network = { id: "n1", name: "net", driver: "bridge" } as NetworkRecord;
let bench: EngineBench;
/** Ids of workloads that are on the network. */
let connected: Set<string>;

beforeEach(async () => {
  bench = await EngineBench.open();
  connected = new Set();
  const live = { live: true } as Connected;
  Object.assign(bench.networks, {
    connect: (id: string) => Promise.resolve(connected.add(id)).then(() => live),
    disconnect: (id: string) => Promise.resolve(connected.delete(id)).then(() => live),
  });
});
afterEach(() => bench[Symbol.asyncDispose]());

async function started(wall: "container" | "vm"): Promise<Workload> {
  const workload = await bench.engine.create(requestOf("sleep", { wall }));
  await bench.engine.start(workload);
  return workload;
}

const request = {} as Parameters<EngineBench["engine"]["networks"]["connect"]>[2];

test("a machine that is paused stays on the networks that it knows; a paused container does not mind", async () => {
  const machine = await started("vm");
  await bench.engine.pause(machine);
  const refused = { code: "workloadPaused" };
  await expect(bench.engine.networks.connect(network, machine, request)).rejects.toMatchObject(refused);
  expect(connected.size).toBe(0);
  await bench.engine.unpause(machine);
  await bench.engine.networks.connect(network, machine, request);
  await bench.engine.pause(machine);
  await expect(bench.engine.networks.disconnect(network, machine, false)).rejects.toMatchObject(refused);
  expect([...connected]).toEqual([machine.id]);
  const container = await started("container");
  await bench.engine.pause(container);
  await bench.engine.networks.connect(network, container, request);
  expect([...connected]).toEqual([machine.id, container.id]);
});

test("a workload whose wall does not take a network over is not on it", async () => {
  const machine = await started("vm");
  if (machine.sandbox === undefined) throw new Error("there is no sandbox");
  machine.sandbox.changeNetwork = () => Promise.reject(new Error("the agent is gone"));
  await expect(bench.engine.networks.connect(network, machine, request)).rejects.toThrow("the agent is gone");
  expect(connected.size).toBe(0);
});
