import { expect, test } from "bun:test";
import { defaultNetworkRequest } from "../records/default-request.ts";
import { bindings, boundAgain, boundTo } from "./bindings.ts";

test("of what an image exposes only ports are published", () => {
  const exposed = [
    "80/tcp",
    "53/udp",
    "0/tcp",
    "65536/tcp",
    "8000-8010/tcp",
    "1 }; flush ruleset/tcp",
    "-1/tcp",
  ];
  const found = bindings({ request: { ...defaultNetworkRequest, publishAll: true }, exposed });
  expect(found.map(({ port, protocol }) => `${port}/${protocol}`)).toEqual(["80/tcp", "53/udp"]);
  expect(bindings({ request: defaultNetworkRequest, exposed })).toEqual([]);
});

test("ports that were bound to no named address are wherever the next network has them, with their numbers", () => {
  const request = {
    ...defaultNetworkRequest,
    ports: [
      { protocol: "udp", port: 53, hostAddress: "", hostFirst: 0, hostLast: 0 },
      { protocol: "tcp", port: 80, hostAddress: "0.0.0.0", hostFirst: 8080, hostLast: 8080 },
    ] as const,
  };
  const bound = [
    { protocol: "udp", port: 53, hostAddress: "0.0.0.0", hostPort: 32_768 },
    { protocol: "udp", port: 53, hostAddress: "::", hostPort: 32_768 },
    { protocol: "tcp", port: 80, hostAddress: "0.0.0.0", hostPort: 8080 },
  ] as const;
  const again = boundAgain({ request, bound });
  expect(again).toEqual([
    { protocol: "udp", port: 53, hostAddress: "", hostFirst: 32_768, hostLast: 32_768 },
    { protocol: "tcp", port: 80, hostAddress: "0.0.0.0", hostFirst: 8080, hostLast: 8080 },
  ]);
  expect(boundTo("127.0.0.1", again).map(({ hostAddress }) => hostAddress)).toEqual(["127.0.0.1", "0.0.0.0"]);
});
