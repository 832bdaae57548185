import { describe, expect, test } from "bun:test";
import type { NetworkRecord, SubnetRecord } from "../records/types.ts";
import { formatSubnet, requireSubnet } from "./address.ts";
import { chooseAddress, chooseSubnet, defaultPools, macOf, planSubnet } from "./ipam.ts";

const subnets = (...texts: readonly string[]) => texts.map((text) => requireSubnet(text, "subnet"));
const choose = (...taken: readonly string[]): string =>
  formatSubnet(chooseSubnet(defaultPools, subnets(...taken)));

function networkWith(...records: readonly SubnetRecord[]): NetworkRecord {
  return {
    ...{ id: "a".repeat(64), name: "app", createdAt: 0, driver: "bridge", subnets: records, ipv6: false },
    ...{ internal: false, attachable: false, labels: {}, options: {}, ipamOptions: {} },
    ...{ automatic: false, bridge: "hull-app" },
  };
}

function ask(network: NetworkRecord, changes: Partial<Parameters<typeof chooseAddress>[0]> = {}): string {
  return chooseAddress({ network, family: 4, taken: new Set(), remembered: new Set(), ...changes });
}

describe("subnets", () => {
  test("are taken from the pools in order, around everything that is there", () => {
    expect(choose()).toBe("172.17.0.0/16");
    expect(choose("172.17.0.0/16")).toBe("172.18.0.0/20");
    expect(choose("172.17.3.0/24")).toBe("172.18.0.0/20");
    expect(choose("172.17.0.0/16", "172.18.0.0/20", "172.18.16.5/32")).toBe("172.18.32.0/20");
    expect(choose("172.16.0.0/12")).toBe("192.168.0.0/24");
    // A route for everything private leaves nothing but what it leaves.
    expect(choose("172.16.0.0/12", "192.168.0.0/16")).toBe("10.128.0.0/20");
  });

  test("there are enough for hundreds of networks, and an end", () => {
    const taken = subnets();
    for (let count = 0; count < 600; count += 1) taken.push(chooseSubnet(defaultPools, taken));
    expect(new Set(taken.map(formatSubnet)).size).toBe(600);
    const one = [{ base: "10.0.0.0/24", size: 25 }];
    expect(() => chooseSubnet(one, subnets("10.0.0.0/25", "10.0.0.128/25"))).toThrow("no more subnets");
  });

  test("that are given are checked, and get the first address as gateway", () => {
    expect(planSubnet({ subnet: "10.1.0.0/24" })).toMatchObject({ gateway: "10.1.0.1" });
    expect(planSubnet({ subnet: "10.1.0.0/24", range: "10.1.0.128/25" })).toMatchObject({
      gateway: "10.1.0.128",
    });
    expect(planSubnet({ subnet: "10.1.0.0/24", auxiliary: { a: "10.1.0.1" } })).toMatchObject({
      gateway: "10.1.0.2",
    });
    expect(planSubnet({ subnet: "fd00::/64" })).toMatchObject({ gateway: "fd00::1" });
    expect(() => planSubnet({ subnet: "10.1.0.5/24" })).toThrow("it should be 10.1.0.0/24");
    expect(() => planSubnet({ subnet: "10.1.0.0/31" })).toThrow("no room");
    for (const special of ["127.0.0.0/24", "0.0.0.0/0", "224.0.0.0/8", "ff02::/64", "::/64"])
      expect(() => planSubnet({ subnet: special })).toThrow("cannot be given");
    for (const gateway of ["10.1.0.0", "10.1.0.255"])
      expect(() => planSubnet({ subnet: "10.1.0.0/24", gateway })).toThrow("nobody's");
    expect(planSubnet({ subnet: "fd00::/64", auxiliary: { a: "fd00:0::0:1" } })).toMatchObject({
      ...{ gateway: "fd00::2", auxiliary: { a: "fd00::1" } },
    });
    expect(() => planSubnet({ subnet: "10.1.0.0/24", gateway: "10.2.0.1" })).toThrow("not in the subnet");
    expect(() => planSubnet({ subnet: "10.1.0.0/24", range: "10.1.0.0/16" })).toThrow(
      "no part of the subnet",
    );
    expect(() => planSubnet({ subnet: "10.1.0.0/24", auxiliary: { a: "10.2.0.1" } })).toThrow("auxiliary");
  });
});

describe("addresses", () => {
  const small = networkWith(planSubnet({ subnet: "10.1.0.0/29", auxiliary: { other: "10.1.0.2" } }));

  test("are neither the network's, nor the gateway's, nor set aside, nor the broadcast", () => {
    const taken = new Set<string>();
    for (let count = 0; count < 4; count += 1) taken.add(ask(small, { taken }));
    expect([...taken]).toEqual(["10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6"]);
    expect(() => ask(small, { taken })).toThrow("no more IPv4 addresses in network app");
  });

  test("of workloads at rest are kept for them, until nothing else is left", () => {
    const remembered = new Set(["10.1.0.3"]);
    expect(ask(small, { remembered })).toBe("10.1.0.4");
    expect(ask(small, { remembered, before: "10.1.0.3" })).toBe("10.1.0.3");
    const taken = new Set(["10.1.0.4", "10.1.0.5", "10.1.0.6"]);
    expect(ask(small, { remembered, taken })).toBe("10.1.0.3");
    expect(ask(small, { taken: new Set(["10.1.0.3"]), before: "10.1.0.3" })).toBe("10.1.0.4");
  });

  test("that are asked for are given, or refused", () => {
    expect(ask(small, { wanted: "10.1.0.5" })).toBe("10.1.0.5");
    expect(() => ask(small, { wanted: "10.1.0.5", taken: new Set(["10.1.0.5"]) })).toThrow("already in use");
    for (const wanted of ["10.1.0.0", "10.1.0.1", "10.1.0.7"])
      expect(() => ask(small, { wanted })).toThrow("already in use");
    expect(() => ask(small, { wanted: "10.2.0.5" })).toThrow("no configured subnet");
    expect(() => ask(small, { wanted: "fd00::5" })).toThrow("it is no IPv4 address");
  });

  test("come from the range", () => {
    const ranged = networkWith(
      planSubnet({ subnet: "10.1.0.0/24", gateway: "10.1.0.1", range: "10.1.0.64/30" }),
    );
    const taken = new Set<string>();
    for (let count = 0; count < 4; count += 1) taken.add(ask(ranged, { taken }));
    expect([...taken]).toEqual(["10.1.0.64", "10.1.0.65", "10.1.0.66", "10.1.0.67"]);
    expect(() => ask(ranged, { taken })).toThrow("10.1.0.64/30");
  });

  test("of IPv6 are found in subnets that nobody could count through", () => {
    const network = networkWith(planSubnet({ subnet: "fd00:1::/64" }));
    expect(ask(network, { family: 6 })).toBe("fd00:1::2");
  });

  test("have hardware addresses that come back with them", () => {
    expect(macOf("172.17.0.2", "ff")).toBe("02:42:ac:11:00:02");
    expect(macOf(undefined, "0123456789")).toBe("02:42:01:23:45:67");
  });
});
