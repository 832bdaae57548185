import { expect, test } from "bun:test";
import { checkOptions } from "./options.ts";

test("options of networks are checked before they come near the kernel or the packet filter", () => {
  const bridge = "com.docker.network.bridge.name";
  const address = "com.docker.network.bridge.host_binding_ipv4";
  for (const [name, value] of [
    [address, "1.2.3.4 . sctp . 1 : 1.2.3.4 . 1 }; flush ruleset; #"],
    [address, "fd00::1"],
    [address, ""],
    [bridge, "default"],
    [bridge, "all"],
    [bridge, ".."],
    [bridge, 'x" ; drop'],
    [bridge, "br0\n"],
    [bridge, "a".repeat(16)],
    ["com.docker.network.driver.mtu", "1500;"],
    ["somebody.else", "1"],
  ] as const)
    expect(() => checkOptions({ [name]: value }, false)).toThrow(name);
  checkOptions({ [address]: "127.0.0.1", [bridge]: "hull-test.0" }, false);
});

test("packets of a network with IPv6 are not smaller than IPv6 has them", () => {
  const mtu = (value: string) => ({ "com.docker.network.driver.mtu": value });
  checkOptions(mtu("1279"), false);
  checkOptions(mtu("1280"), true);
  expect(() => checkOptions(mtu("1279"), true)).toThrow("1280");
});
