import { expect, test } from "bun:test";
import { defaultNetworkRequest } from "../../network/records/default-request.ts";
import type { PortRequest } from "../../network/records/types.ts";
import { passesPorts } from "./container-filters.ts";

const toAny = { hostAddress: "", hostFirst: 8080, hostLast: 8080 };
const ports: PortRequest[] = [{ ...toAny, port: 80, protocol: "tcp" }];
const web = { request: { ...defaultNetworkRequest, ports }, exposed: ["80/tcp", "81/udp"] };

test.each([
  [{ publish: ["80"] }, true],
  [{ publish: ["80/tcp"] }, true],
  [{ publish: ["70-90/tcp"] }, true],
  [{ publish: ["80/udp"] }, false],
  // A port of the host is none of the workload's.
  [{ publish: ["8080"] }, false],
  [{ publish: ["81/udp"] }, false],
  [{ expose: ["81/udp"] }, true],
  [{ expose: ["81"] }, false],
  [{ publish: ["1"], expose: ["80"] }, true],
  [{ publish: ["1", "80"] }, true],
])("ports by %j: %p", (filters: Record<string, string[]>, passes) => {
  expect(passesPorts(new Map(Object.entries(filters)))(web)).toBe(passes);
});

test("with publish-all, what is exposed is published", () => {
  const all = { ...web, request: { ...web.request, publishAll: true } };
  expect(passesPorts(new Map([["publish", ["81/udp"]]]))(all)).toBe(true);
});

test.each(["http", "9-8", "80/icmp", "70000", ""])("%j is no port", (word) => {
  expect(() => passesPorts(new Map([["publish", [word]]]))).toThrow("use a port or a range");
});
