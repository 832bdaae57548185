import { expect, test } from "bun:test";
import type { Flow } from "../../host/network/connection-tracking.ts";
import { staleFlows } from "./flows.ts";

const bytes = (text: string): Buffer => Buffer.from(text.split(".").map(Number));
const local = [bytes("192.0.2.1"), bytes("172.17.0.1")];

/** A client's flow to `to`, answered by `by`. */
function flow(to: string, by: string): Flow {
  const [address = "", port = ""] = to.split(":");
  const [behind = "", portBehind = ""] = by.split(":");
  const client = { address: bytes("198.51.100.9"), port: 5000 };
  return {
    family: 4,
    original: {
      source: client.address,
      sourcePort: client.port,
      destination: bytes(address),
      destinationPort: Number(port),
    },
    reply: {
      source: bytes(behind),
      sourcePort: Number(portBehind),
      destination: client.address,
      destinationPort: client.port,
    },
    raw: { tuple: Buffer.alloc(0), id: Buffer.alloc(0) },
  };
}

const redirect = (hostAddress: string, address: string) =>
  ({ bound: { protocol: "udp", port: 53, hostAddress, hostPort: 5353 }, address }) as const;

const unled = flow("192.0.2.1:5353", "192.0.2.1:5353");
const old = flow("192.0.2.1:5353", "172.17.0.2:53");
const looped = flow("127.0.0.5:5353", "172.17.0.2:53");
const present = flow("192.0.2.1:5353", "172.17.0.3:53");
const passing = flow("203.0.113.5:5353", "203.0.113.5:5353");
const others = flow("192.0.2.1:5354", "172.17.0.2:53");
const all = [unled, old, looped, present, passing, others];

test("a port that leads elsewhere now has the flows to the host forgotten that went anywhere else", () => {
  expect(staleFlows(all, "add", [redirect("0.0.0.0", "172.17.0.3")], local)).toEqual([unled, old, looped]);
  expect(staleFlows(all, "add", [redirect("127.0.0.5", "172.17.0.3")], local)).toEqual([looped]);
});

test("a port that is published no longer has those forgotten that it led", () => {
  expect(staleFlows(all, "delete", [redirect("0.0.0.0", "172.17.0.2")], local)).toEqual([old, looped]);
  expect(staleFlows(all, "delete", [redirect("192.0.2.1", "172.17.0.3")], local)).toEqual([present]);
});
