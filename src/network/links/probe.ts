/** Whether this host can have networks, found out by making one in a namespace of its own that nobody sees. */
import { HullError, messageOf } from "../../contract/errors.ts";
import { makeBridge, makeVeth } from "../../host/network/links.ts";
import { makeNetworkNamespace } from "../../host/network/namespace.ts";
import { run } from "../../host/spawn.ts";
import { explainLinkError } from "./bridges.ts";

export class Probe {
  #answer: Promise<string | undefined> | undefined;

  /** Why not; undefined when it can. Looks once. */
  look(): Promise<string | undefined> {
    this.#answer ??= probe();
    return this.#answer;
  }
}

async function probe(): Promise<string | undefined> {
  try {
    makeLinks();
    const listed = await run(["nft", "list", "tables"]);
    if (listed.code !== 0) return `nft does not work here: ${listed.stderr.trim()}`;
    // Without it a workload could pass for its neighbours.
    const bridges = await run(["nft", "--check", "add table bridge hull-probe"]);
    return bridges.code === 0
      ? undefined
      : `this kernel has no packet filter for bridges (CONFIG_NF_TABLES_BRIDGE): ${bridges.stderr.trim()}`;
  } catch (error) {
    if (error instanceof HullError && error.code === "hostMissing")
      return "the program nft is missing: run `apt-get install nftables` (or your distribution's like)";
    const explained = explainLinkError(error, "a bridge");
    return explained instanceof HullError
      ? String(explained.details.why ?? explained.message)
      : messageOf(error);
  }
}

function makeLinks(): void {
  using namespace = makeNetworkNamespace();
  using socket = namespace.openSocket();
  socket.request([
    ...makeBridge("probe0", { up: true }),
    ...makeVeth("probe1", {}, { name: "probe2", namespace: namespace.descriptor }),
  ]);
}
