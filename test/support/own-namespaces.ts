/** Mount and network namespaces of a program's own, in which all there is of a network is a loopback interface. */
import { inPrivateMountNamespace, startAgainInPrivateMounts } from "../../src/host/mount-namespace.ts";
import { namespaceFlag, unshare } from "../../src/host/namespace.ts";
import { setLink } from "../../src/host/network/links.ts";
import { NetlinkSocket } from "../../src/host/network/netlink.ts";
import { writeNetworkSetting } from "../../src/host/network/sysctl.ts";

const loopback = 1;

/** To be called first thing; starts the program again inside, unless it is there. Needs root. */
export function startAgainInOwnNamespaces(): void {
  if (inPrivateMountNamespace()) return;
  unshare(namespaceFlag.network);
  using socket = new NetlinkSocket();
  socket.request([setLink(loopback, { up: true })]);
  // A new namespace has IPv4 settings as the host has them: whatever somebody turned on there is off here.
  writeNetworkSetting("ipv4/ip_forward", "0");
  startAgainInPrivateMounts([]);
}
