import { expect, test } from "bun:test";
import { endpointsOf, exposedPortsOf, hostNetworkOf, networkFlags, portBindingsOf } from "./network.ts";
import { parseOptions } from "./options.ts";

function optionsOf(...argv: readonly string[]) {
  return parseOptions(networkFlags, argv, true).options;
}

test.each([
  ["80", { "80/tcp": [{ HostIp: "", HostPort: "" }] }],
  ["8080:80", { "80/tcp": [{ HostIp: "", HostPort: "8080" }] }],
  ["127.0.0.1:8080:80/udp", { "80/udp": [{ HostIp: "127.0.0.1", HostPort: "8080" }] }],
  ["127.0.0.1::80", { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] }],
  ["[::1]:8080:80", { "80/tcp": [{ HostIp: "::1", HostPort: "8080" }] }],
  ["8000-8009:80", { "80/tcp": [{ HostIp: "", HostPort: "8000-8009" }] }],
  [
    "8000-8001:80-81",
    { "80/tcp": [{ HostIp: "", HostPort: "8000" }], "81/tcp": [{ HostIp: "", HostPort: "8001" }] },
  ],
])("--publish %s", (word, bindings) => {
  expect(portBindingsOf([word])).toEqual(bindings);
});

test.each(["", "x", "80:", "8000-8001:80-82", "9-8:80", "80:70000", "::1:80:80"])(
  "--publish %p is refused",
  (word) => {
    expect(() => portBindingsOf([word])).toThrow(word);
  },
);

test("several networks: the first has the settings of the other flags", () => {
  const options = optionsOf(
    "--network",
    "front",
    "--network",
    "back",
    "--ip",
    "10.0.0.5",
    "--network-alias",
    "web",
  );
  expect(hostNetworkOf(options).NetworkMode).toBe("front");
  expect(endpointsOf(options)?.EndpointsConfig).toEqual({
    front: { Aliases: ["web"], IPAMConfig: { IPv4Address: "10.0.0.5", IPv6Address: undefined } },
    back: {},
  });
});

test("a network may have its settings with it", () => {
  const options = optionsOf("--network", "name=front,alias=a,alias=b,ip=10.0.0.5,gw-priority=3");
  expect(endpointsOf(options)?.EndpointsConfig).toEqual({
    front: {
      Aliases: ["a", "b"],
      IPAMConfig: { IPv4Address: "10.0.0.5", IPv6Address: undefined },
      GwPriority: 3,
    },
  });
  expect(() => endpointsOf(optionsOf("--network", "alias=a"))).toThrow("no name=");
  expect(() => endpointsOf(optionsOf("--network", "name=a,mode=b"))).toThrow("use name=");
});

test("nothing is said of networks by who says nothing of them", () => {
  expect(endpointsOf(optionsOf())).toBeUndefined();
  expect(hostNetworkOf(optionsOf()).NetworkMode).toBeUndefined();
});

test("what is published is exposed", () => {
  expect(exposedPortsOf(optionsOf("-p", "80", "--expose", "53/udp", "--expose", "90-91"))).toEqual({
    ...{ "53/udp": {}, "90/tcp": {}, "91/tcp": {}, "80/tcp": {} },
  });
});
