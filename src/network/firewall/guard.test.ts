import { expect, test } from "bun:test";
import { runNft } from "../../host/network/nft.ts";
import { NftElements } from "../../host/network/nft-elements.ts";
import {
  type GuardedPort,
  guardElements,
  guardRuleset,
  guardSets,
  keyText,
  linkLocalOf,
  noGuard,
} from "./guard.ts";

const table = "hull-guardtest";
const ports: GuardedPort[] = [
  {
    link: "hv0123456789ab",
    hardware: "02:42:ac:11:00:02",
    addresses: ["172.17.0.2", "fd00::2", "fe80::42:acff:fe11:2"],
  },
  { link: "hvcdef", hardware: "02:42:ac:11:00:03", addresses: ["172.17.0.3"] },
];

test("what nft is told in words is what netlink is told in bytes", async () => {
  try {
    await runNft(guardRuleset(table, ports));
    using elements = new NftElements();
    const listed = (): Record<string, string[]> =>
      Object.fromEntries(
        guardSets.map((set) => [
          set,
          elements
            .list({ family: "bridge", table, set })
            .map(({ key }) => key.toString("hex"))
            .toSorted(),
        ]),
      );
    const wanted = guardElements(ports);
    const expected = Object.fromEntries(guardSets.map((set) => [set, wanted[set].map(keyText).toSorted()]));
    expect(listed()).toEqual(expected);
    const change = (what: "add" | "delete") =>
      elements.change(
        guardSets.map((set) => ({ do: what, family: "bridge", table, set, elements: wanted[set] }) as const),
      );
    change("delete");
    expect(Object.values(listed()).flat()).toEqual([]);
    change("add");
    expect(listed()).toEqual(expected);
  } finally {
    await runNft(noGuard(table));
  }
});

test("a link-local address is the one that a kernel makes of the hardware address", () => {
  expect(linkLocalOf("02:42:ac:11:00:02")).toBe("fe80::42:acff:fe11:2");
  expect(linkLocalOf("fe:ff:ff:ff:ff:ff")).toBe("fe80::fcff:ffff:feff:ffff");
});
