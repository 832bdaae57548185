/**
 * From a machine's network cards to its cables: a tap for each card, spliced to the cable's end in the same name
 * space. A machine that may be connected to more networks later has its taps from the start.
 */
import { openSync } from "node:fs";
import { findLink, setLink } from "../../host/network/links.ts";
import { makeNetworkNamespace, NetworkNamespace, networkNamespaceOf } from "../../host/network/namespace.ts";
import type { NetlinkSocket } from "../../host/network/netlink.ts";
import { makeTap } from "../../host/network/tap.ts";
import { splice, unsplice } from "../../host/network/traffic-control.ts";
import type { NetworkInterface, SandboxNetwork, SandboxSpec } from "../wall.ts";
import { networkCards } from "./arguments.ts";

const taps = Array.from({ length: networkCards }, (_, card) => `tap${card}`);

export interface CablePlan {
  /** With the names of its taps. */
  readonly spec: SandboxSpec;
  /** Makes them, owned by QEMU's user, which has to start after that. Once: another call does nothing. */
  readonly lay: () => void;
}

/** The jail can be made while the kernel's one lock for all interfaces is waited for. */
export function planCables(spec: SandboxSpec, owner: number): CablePlan {
  const { network } = spec;
  if (network?.namespace === undefined || network.taps.length > 0 || network.interfaces.length === 0)
    return { spec, lay() {} };
  const { namespace } = network;
  let laid = false;
  const lay = (): void => {
    if (!laid) layCables({ ...network, namespace }, owner);
    laid = true;
  };
  return { spec: { ...spec, network: { ...network, taps } }, lay };
}

function layCables(network: SandboxNetwork & { readonly namespace: string }, owner: number): void {
  using namespace = new NetworkNamespace(openSync(network.namespace, "r"));
  namespace.within(() => {
    for (const name of taps) makeTap(name, owner);
  });
  using inside = namespace.openSocket();
  for (const [index, each] of network.interfaces.entries()) spliceCard(inside, each, each.card ?? index);
}

/** A name space that a machine can wait in for its cables: it has the taps. */
export function makeTaps(owner: number): { readonly namespace: NetworkNamespace; readonly taps: string[] } {
  return { namespace: namespaceWith(taps, owner), taps };
}

function namespaceWith(names: readonly string[], owner: number): NetworkNamespace {
  const namespace = makeNetworkNamespace();
  try {
    namespace.within(() => {
      for (const name of names) makeTap(name, owner);
    });
    return namespace;
  } catch (error) {
    namespace[Symbol.dispose]();
    throw error;
  }
}

/** Leads nowhere, and is not taken for one that a cable could be spliced to. */
export const blindTap = "blind";
/** One for each card: those of a machine that had taps before it was saved must have some again. */
const blindTaps = Array.from({ length: networkCards }, (_, card) =>
  card === 0 ? blindTap : `${blindTap}${card}`,
);

/** Until it is disposed, the jail that joins it has to exist. */
export interface BlindNetwork extends Disposable {
  readonly network: SandboxNetwork;
  /** As of `CablePlan`. */
  readonly lay: () => void;
}

/**
 * What a machine is in that has no network, but a card whose driver is bound (arguments.ts): the card has a tap that
 * leads nowhere, in the sandbox's own name space if it has one.
 */
export function makeBlindNetwork(
  given: SandboxNetwork | undefined,
  owner: number,
  allCards = false,
): BlindNetwork {
  const names = allCards ? blindTaps : [blindTap];
  const path = given?.namespace;
  const own = path === undefined ? namespaceWith(names, owner) : undefined;
  const lay = (): void => {
    if (path === undefined) return;
    using namespace = new NetworkNamespace(openSync(path, "r"));
    namespace.within(() => {
      for (const name of names) makeTap(name, owner);
    });
  };
  const namespace = own?.path ?? path;
  return {
    network: { interfaces: [], routes: [], ...given, namespace, taps: names },
    lay,
    [Symbol.dispose]: () => own?.[Symbol.dispose](),
  };
}

/** Cables that came to a machine that runs; `pid` is QEMU's. */
export function layMoreCables(pid: number, added: readonly NetworkInterface[]): void {
  using namespace = networkNamespaceOf(pid);
  if (namespace === undefined) return;
  using inside = namespace.openSocket();
  for (const each of added) spliceCard(inside, each, each.card ?? 0);
}

function spliceCard(inside: NetlinkSocket, { name, mtu }: NetworkInterface, card: number): void {
  const [cable, tap] = [findLink(inside, name), findLink(inside, `tap${card}`)];
  if (cable === undefined || tap === undefined)
    throw new Error(`the network name space has no ${cable === undefined ? name : `tap${card}`}`);
  inside.request([
    // What an earlier cable left.
    unsplice(tap.index),
    setLink(tap.index, { ...(mtu === undefined ? {} : { mtu }), noGeneratedAddress: true }),
    ...splice(cable.index, tap.index),
    setLink(tap.index, { up: true }),
  ]);
}
