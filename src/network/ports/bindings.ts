/** The ports that a workload's wishes come to. */
import type { BoundPort, PortRequest, WorkloadRecord } from "../records/types.ts";
import { protocolOf } from "./ports.ts";

/** The ports that were asked for, and with `publishAll` those that are exposed and were not. */
export function bindings({ request, exposed }: Pick<WorkloadRecord, "request" | "exposed">): PortRequest[] {
  const named = new Set(request.ports.map(({ port, protocol }) => `${port}/${protocol}`));
  const all = request.publishAll ? exposed.filter((text) => !named.has(text)) : [];
  // What an image exposes is anybody's text.
  return [...request.ports, ...all.map(anyHostPort).filter(({ port }) => port >= 1 && port <= 65_535)];
}

/**
 * Those that an earlier start, or an earlier network, came to: with the same numbers. What was bound to an address that nobody
 * named is so again, wherever that is now.
 */
export function boundAgain({ request, bound }: Pick<WorkloadRecord, "request" | "bound">): PortRequest[] {
  const requests = bound.map((one) => {
    const named = request.ports.some(
      ({ protocol, port, hostAddress }) =>
        protocol === one.protocol && port === one.port && hostAddress === one.hostAddress,
    );
    return named ? asRequest(one) : { ...asRequest(one), hostAddress: "" };
  });
  const key = (one: PortRequest): string => JSON.stringify(one);
  return [...new Map(requests.map((one) => [key(one), one])).values()];
}

/** `hostAddress`: where those are bound that name no address; empty: everywhere. */
export function boundTo(hostAddress: string, requests: readonly PortRequest[]): PortRequest[] {
  return requests.map((one) => (one.hostAddress === "" ? { ...one, hostAddress } : one));
}

/** The same port again. */
export function asRequest({ protocol, port, hostAddress, hostPort }: BoundPort): PortRequest {
  return { protocol, port, hostAddress, hostFirst: hostPort, hostLast: hostPort };
}

function anyHostPort(text: string): PortRequest {
  const [port = "", protocol = "tcp"] = text.split("/");
  return {
    protocol: protocolOf(protocol) ?? "tcp",
    port: /^\d+$/.test(port) ? Number(port) : 0,
    hostAddress: "",
    hostFirst: 0,
    hostLast: 0,
  };
}
