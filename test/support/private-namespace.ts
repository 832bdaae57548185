/**
 * Runs the tests in mount and network namespaces of their own: what they mount, and the bridges and rules of the
 * daemons they start, never appear on the host, and crun finds the control groups it accepts. All there is in the
 * network namespace is a loopback interface. Loaded before every test file (bunfig.toml); starts `bun test` again
 * inside.
 */
import { inPrivateMountNamespace, startAgainInPrivateMounts } from "../../src/host/mount-namespace.ts";
import { namespaceFlag, unshare } from "../../src/host/namespace.ts";
import { setLink } from "../../src/host/network/links.ts";
import { NetlinkSocket } from "../../src/host/network/netlink.ts";

const loopback = 1;

if (process.getuid?.() === 0 && !inPrivateMountNamespace()) {
  unshare(namespaceFlag.network);
  using socket = new NetlinkSocket();
  socket.request([setLink(loopback, { up: true })]);
  startAgainInPrivateMounts([]);
}
