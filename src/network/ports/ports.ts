/**
 * Ports of the host that lead to workloads. A port is taken on the host before anything of the workload is started,
 * so that one that somebody has is an error then. Packets never reach the sockets that hold the ports: the packet
 * filter leads them on, but for those of the IPv6 loopback address and those for networks without IPv6, which
 * cannot be led: these connections (TCP) the daemon passes on itself.
 */
import { HullError } from "../../contract/errors.ts";
import { reservePort } from "../../host/network/reserve-port.ts";
import { errnoNameOf, reasonOf } from "../../host/system-error.ts";
import { bytesOf, requireAddress } from "../addresses/address.ts";
import type { Redirect } from "../firewall/rules.ts";
import type { BoundPort, PortRequest, Protocol } from "../records/types.ts";
import { type Forwarder, forwardConnections } from "./forward.ts";

/** Ports that are given when the client does not name one: where the kernel takes its own from, by default. */
const firstRandom = 32_768;
const lastRandom = 60_999;

/** Where the ports lead. */
export interface PortTarget {
  readonly address4: string | undefined;
  readonly address6: string | undefined;
}

interface HeldPort {
  readonly bound: BoundPort;
  readonly redirect: Redirect | undefined;
  readonly hold: Hold;
}

/** What keeps a port from others: a socket, or one that passes connections on itself. */
type Hold = Disposable | Forwarder;

/** The ports of one workload, taken until they are released. */
export class HeldPorts implements Disposable {
  #ports: readonly HeldPort[];

  constructor(ports: readonly HeldPort[]) {
    this.#ports = ports;
  }

  static joined(one: HeldPorts, other: HeldPorts): HeldPorts {
    return new HeldPorts([...one.#ports, ...other.#ports]);
  }

  get bound(): readonly BoundPort[] {
    return this.#ports.map(({ bound }) => bound);
  }

  get redirects(): readonly Redirect[] {
    return this.#ports.flatMap(({ redirect }) => redirect ?? []);
  }

  release(which: (bound: BoundPort) => boolean): void {
    for (const { bound, hold } of this.#ports) if (which(bound)) hold[Symbol.dispose]();
    this.#ports = this.#ports.filter(({ bound }) => !which(bound));
  }

  /** Gives away what holds this port of the host; undefined when none of these does. */
  take({ protocol, port, hostAddress, hostPort }: BoundPort): Hold | undefined {
    const found = this.#ports.find(
      ({ bound }) =>
        bound.protocol === protocol &&
        bound.port === port &&
        bound.hostAddress === hostAddress &&
        bound.hostPort === hostPort,
    );
    this.#ports = this.#ports.filter((one) => one !== found);
    return found?.hold;
  }

  [Symbol.dispose](): void {
    this.release(() => true);
  }
}

let nextRandom = firstRandom;

/**
 * Takes all of the ports, or none. Those that `before` holds change over without being free in between, and its others are let
 * go first. Throws `portInUse`.
 */
export function holdPorts(
  requests: readonly PortRequest[],
  target: PortTarget,
  before: HeldPorts = new HeldPorts([]),
): HeldPorts {
  before.release((bound) => !requests.some((request) => covers(request, bound)));
  const held: HeldPort[] = [];
  const place: Place = { target, before, searched: new Map() };
  try {
    for (const request of requests) held.push(...holdPort(request, place));
    return new HeldPorts(held);
  } catch (error) {
    new HeldPorts(held)[Symbol.dispose]();
    throw error;
  }
}

interface Place {
  readonly target: PortTarget;
  readonly before: HeldPorts;
  /** Where the next one of several that may have a port of the same range begins to look: those before are taken. */
  readonly searched: Map<string, number>;
}

function holdPort(request: PortRequest, place: Place): HeldPort[] {
  const { searched } = place;
  const fixed = request.hostFirst !== 0;
  const [first, last] = fixed ? [request.hostFirst, request.hostLast] : [firstRandom, lastRandom];
  const range = `${request.protocol} ${request.hostAddress} ${first}-${last}`;
  const begin = fixed ? (searched.get(range) ?? first) : first;
  let failure: unknown;
  for (let number = begin; number <= last; number += 1) {
    const hostPort = fixed ? number : nextRandomPort();
    try {
      const held = holdNumber(request, hostPort, place);
      if (fixed) searched.set(range, number + 1);
      return held;
    } catch (error) {
      if (errnoNameOf(error) !== "EADDRINUSE") throw explain(error, request, hostPort);
      failure ??= error;
    }
  }
  throw explain(failure ?? exhausted(range), request, fixed ? first : 0);
}

function exhausted(range: string): Error {
  return Object.assign(new Error(`ports ${range}`), { code: "EADDRINUSE" });
}

function nextRandomPort(): number {
  const port = nextRandom;
  nextRandom = port === lastRandom ? firstRandom : port + 1;
  return port;
}

function holdNumber(request: PortRequest, hostPort: number, place: Place): HeldPort[] {
  const { protocol, port } = request;
  const held: HeldPort[] = [];
  try {
    for (const hostAddress of addressesOf(request)) {
      const bound = { protocol, port, hostAddress, hostPort };
      const one = hostAddress.includes(":")
        ? holdVersion6(bound, place, request.hostAddress === "")
        : holdVersion4(bound, place);
      if (one !== undefined) held.push(one);
    }
    return held;
  } catch (error) {
    new HeldPorts(held)[Symbol.dispose]();
    throw error;
  }
}

function covers(request: PortRequest, { protocol, port, hostAddress, hostPort }: BoundPort): boolean {
  return (
    request.protocol === protocol &&
    request.port === port &&
    request.hostFirst <= hostPort &&
    request.hostLast >= hostPort &&
    addressesOf(request).includes(hostAddress)
  );
}

/** No address means every one, of both families. */
function addressesOf({ hostAddress }: PortRequest): string[] {
  return hostAddress === "" ? ["0.0.0.0", "::"] : [hostAddress];
}

function holdVersion4(bound: BoundPort, { target, before }: Place): HeldPort | undefined {
  const { address4 } = target;
  if (address4 === undefined) return undefined;
  const hold = before.take(bound) ?? reserve(bound);
  return { bound, redirect: { bound, address: address4 }, hold };
}

function holdVersion6(bound: BoundPort, { target, before }: Place, implied: boolean): HeldPort | undefined {
  const { address4, address6 } = target;
  const to = address6 ?? address4;
  if (to === undefined) return undefined;
  if (address6 === undefined && bound.protocol !== "tcp") {
    if (implied) return undefined;
    throw new HullError("unsupported", {
      what: `the port ${bound.hostPort}/${bound.protocol} of ${bound.hostAddress}`,
      where: "",
      why: "the workload has no IPv6 address: give its network IPv6",
    });
  }
  const led = address6 !== undefined && bound.hostAddress !== "::1";
  try {
    const destination = { host: to, port: bound.port };
    const held = before.take(bound);
    if (held !== undefined && "lead" in held) held.lead(destination);
    const hold =
      held ??
      (bound.protocol === "tcp"
        ? forwardConnections(bound.hostAddress, bound.hostPort, destination)
        : reserve(bound));
    return { bound, redirect: led ? { bound, address: address6 } : undefined, hold };
  } catch (error) {
    // A host without IPv6.
    if (implied && ["EADDRNOTAVAIL", "EAFNOSUPPORT"].includes(errnoNameOf(error) ?? "")) return undefined;
    throw error;
  }
}

function reserve({ protocol, hostAddress, hostPort }: BoundPort): Disposable {
  // The kernel's sockets for SCTP are seldom built; its packets are led on without.
  if (protocol === "sctp") return reserveAssociations(hostAddress, hostPort);
  return reservePort(protocol, bytesOf(requireAddress(hostAddress, "host address")), hostPort);
}

/** Ports of SCTP that this daemon's workloads have: by number, the addresses of the host. */
const associations = new Map<number, Set<string>>();

function reserveAssociations(address: string, port: number): Disposable {
  const taken = associations.get(port) ?? new Set();
  const every = address.includes(":") ? "::" : "0.0.0.0";
  const sameFamily = [...taken].filter((other) => other.includes(":") === address.includes(":"));
  if (taken.has(address) || taken.has(every) || (address === every && sameFamily.length > 0))
    throw Object.assign(new Error(`port ${port}/sctp of ${address}`), { code: "EADDRINUSE" });
  associations.set(port, taken.add(address));
  return { [Symbol.dispose]: () => void taken.delete(address) };
}

function explain(error: unknown, request: PortRequest, port: number): unknown {
  const code = errnoNameOf(error);
  if (code === undefined || error instanceof HullError) return error;
  if (code === "EADDRNOTAVAIL")
    return new HullError(
      "invalidParameter",
      {
        what: "published port",
        value: `${request.hostAddress}:${port}`,
        why: `the host has no address ${request.hostAddress}`,
      },
      { cause: error },
    );
  const where = request.hostAddress === "" ? "" : `${request.hostAddress}:`;
  const number = port === 0 ? `any of ${firstRandom}-${lastRandom}` : String(port);
  return new HullError(
    "portInUse",
    { port: `${where}${number}/${request.protocol}`, why: reasonOf(code) },
    { cause: error },
  );
}

export function protocolOf(text: string): Protocol | undefined {
  return (["tcp", "udp", "sctp"] as const).find((protocol) => protocol === text.toLowerCase());
}
