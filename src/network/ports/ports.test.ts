import { expect, test } from "bun:test";
import type { PortRequest } from "../records/types.ts";
import { holdPorts } from "./ports.ts";

const target = { address4: "172.17.0.2", address6: undefined };

function sctp(hostAddress: string, hostFirst: number, hostLast = hostFirst): PortRequest {
  return { protocol: "sctp", port: 9, hostAddress, hostFirst, hostLast };
}

test("a port of SCTP is taken while a workload has it, though no socket holds it", () => {
  const first = holdPorts([sctp("127.0.0.1", 700)], target);
  expect(() => holdPorts([sctp("127.0.0.1", 700)], target)).toThrow("700/sctp");
  expect(() => holdPorts([sctp("0.0.0.0", 700)], target)).toThrow("700/sctp");
  using _beside = holdPorts([sctp("127.0.0.2", 700)], target);
  using range = holdPorts([sctp("127.0.0.1", 700, 701)], target);
  expect(range.bound).toEqual([{ protocol: "sctp", port: 9, hostAddress: "127.0.0.1", hostPort: 701 }]);
  first[Symbol.dispose]();
  using _again = holdPorts([sctp("127.0.0.1", 700)], target);
});

test("several ports of one range have its free ones in order, and one too many is refused", () => {
  const range = sctp("127.0.0.3", 710, 713);
  using _taken = holdPorts([sctp("127.0.0.3", 711)], target);
  const held = holdPorts([range, range, range], target);
  expect(held.bound.map(({ hostPort }) => hostPort)).toEqual([710, 712, 713]);
  held[Symbol.dispose]();
  expect(() => holdPorts([range, range, range, range], target)).toThrow("710/sctp");
  // Nothing of the refused ones is kept.
  using again = holdPorts([range], target);
  expect(again.bound.map(({ hostPort }) => hostPort)).toEqual([710]);
});

test("ports that lead elsewhere are not free in between, and those that nobody wants any longer are", () => {
  const tcp: PortRequest = { ...sctp("127.0.0.1", 18_711), protocol: "tcp" };
  const udp: PortRequest = { ...sctp("127.0.0.1", 18_712), protocol: "udp" };
  using before = holdPorts([tcp, udp], target);
  // Taken by the first, so that this succeeds only because it changes over.
  using moved = holdPorts([udp], { ...target, address4: "172.18.0.9" }, before);
  expect(moved.redirects.map(({ address }) => address)).toEqual(["172.18.0.9"]);
  expect(before.bound).toEqual([]);
  expect(() => holdPorts([udp], target)).toThrow("18712/udp");
  using again = holdPorts([tcp], target);
  using everywhere = holdPorts([{ ...tcp, hostAddress: "0.0.0.0" }], target, again);
  expect(everywhere.bound.map(({ hostAddress }) => hostAddress)).toEqual(["0.0.0.0"]);
});
