/** Mount and network namespaces of a program's own, in which all there is of a network is a loopback interface. */
import { inPrivateMountNamespace, startAgainInPrivateMounts } from "../../src/host/mount-namespace.ts";
import { namespaceFlag, unshare } from "../../src/host/namespace.ts";
import { setLink } from "../../src/host/network/links.ts";
import { NetlinkSocket } from "../../src/host/network/netlink.ts";

const loopback = 1;

/** To be called first thing; starts the program again inside, unless it is there. Needs root. */
export function startAgainInOwnNamespaces(): void {
  if (inPrivateMountNamespace()) return;
  unshare(namespaceFlag.network);
  using socket = new NetlinkSocket();
  socket.request([setLink(loopback, { up: true })]);
  startAgainInPrivateMounts([]);
}
