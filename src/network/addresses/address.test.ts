import { expect, test } from "bun:test";
import {
  addressOfBytes,
  bytesOf,
  contains,
  formatAddress,
  formatSubnet,
  overlap,
  parseAddress,
  parseSubnet,
  requireSubnet,
} from "./address.ts";

test.each([
  ["0.0.0.0", "0.0.0.0"],
  ["255.255.255.255", "255.255.255.255"],
  ["::", "::"],
  ["::1", "::1"],
  ["fe80:0:0:0:1:0:0:2", "fe80::1:0:0:2"],
  ["fd00:0:1:0:0:2:0:3", "fd00:0:1::2:0:3"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
  ["::ffff:1.2.3.4", "::ffff:102:304"],
  ["A::B", "a::b"],
])("the address %s is written %s, and survives its bytes", (text, canonical) => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} was not parsed`);
  expect(formatAddress(address)).toBe(canonical);
  expect(formatAddress(addressOfBytes(bytesOf(address)))).toBe(canonical);
});

test.each(["", "1.2.3", "1.2.3.4.5", "256.1.1.1", ":::", "fe80::1%eth0", "example.com"])(
  "%p is no address",
  (text) => {
    expect(parseAddress(text)).toBeUndefined();
  },
);

test("a subnet knows its addresses and its neighbours", () => {
  const subnet = requireSubnet("172.18.0.0/20", "subnet");
  const has = (text: string): boolean => {
    const address = parseAddress(text);
    return address !== undefined && contains(subnet, address);
  };
  expect([has("172.18.0.0"), has("172.18.15.255"), has("172.18.16.0"), has("::")]).toEqual([
    true,
    true,
    false,
    false,
  ]);
  const overlaps = (text: string): boolean => {
    const other = parseSubnet(text);
    return other !== undefined && overlap(subnet, other);
  };
  expect([overlaps("172.16.0.0/12"), overlaps("172.18.8.0/24"), overlaps("172.18.16.0/20")]).toEqual([
    true,
    true,
    false,
  ]);
  expect(formatSubnet(requireSubnet("fd00::/8", "subnet"))).toBe("fd00::/8");
});

test.each(["172.18.0.1/20", "172.18.0.0", "172.18.0.0/33", "172.18.0.0/a", "x/8", "fd00::1/64"])(
  "%p is refused as a subnet",
  (text) => {
    expect(() => requireSubnet(text, "subnet")).toThrow("invalid subnet");
  },
);
