/** The network room's records: what is refused before anything is made. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../contract/logger.ts";
import { noEndpointRequest } from "./networks/endpoints.ts";
import type { CreateNetworkRequest } from "./networks/networks.ts";
import { defaultNetworkRequest } from "./records/default-request.ts";
import { NetworkRoom } from "./room.ts";

const root = mkdtempSync(join(tmpdir(), "room-"));
let room: NetworkRoom;
beforeAll(() => {
  room = new NetworkRoom({ root, log: silentLogger });
});
afterAll(async () => {
  await room[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

function create(name: string, subnets: CreateNetworkRequest["subnets"] = []) {
  return room.create({
    ...{ name, subnets, driver: "", internal: false, attachable: false, ipv6: false },
    ...{ labels: {}, options: {}, ipamDriver: "", ipamOptions: {} },
  });
}

function register(id: string, request: Partial<typeof defaultNetworkRequest> = {}): void {
  room.register({
    ...{ id, name: id, wall: "container", hostname: id, exposed: [], links: [] },
    request: { ...defaultNetworkRequest, ...request },
  });
}

test("a network that went while a workload was busy is not connected to", async () => {
  const network = create("gone");
  register("one");
  await room.remove(network);
  // As a prune that listed it before: there is nothing to tell of twice.
  await expect(room.remove(network)).rejects.toThrow("gone");
  await expect(room.connect("one", network, noEndpointRequest)).rejects.toThrow("gone");
  expect(room.workload("one")?.endpoints).toHaveLength(1);
});

test("words for /etc/hosts and resolv.conf have no line of their own", () => {
  for (const request of [
    { domainname: "a\n192.0.2.1 elsewhere" },
    { dnsSearch: ["a\nnameserver 192.0.2.1"] },
    { dnsOptions: ["ndots:1 rotate"] },
    { dnsOptions: [""] },
  ])
    expect(() => register("two", request)).toThrow("invalid");
  register("two", { domainname: "lab.example", dnsSearch: [".", "a_b.example"], dnsOptions: ["ndots:2"] });
});

test("a network has no more subnets than can be compared", () => {
  const subnets = Array.from({ length: 65 }, (_, index) => ({
    ...{ subnet: `10.9.${index}.0/24`, gateway: "", range: "", auxiliary: {} },
  }));
  expect(() => create("many", subnets)).toThrow("limit");
  expect(create("some", subnets.slice(0, 64)).subnets).toHaveLength(64);
});
