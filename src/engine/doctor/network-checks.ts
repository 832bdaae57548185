/** Whether workloads can be connected to networks here. */
import type { DoctorCheck } from "../../contract/docker.ts";

/** `unavailable`: why not, found out by making a network where nobody sees it. */
export async function networkCheck(unavailable: () => Promise<string | undefined>): Promise<DoctorCheck> {
  const why = await unavailable();
  return {
    name: "networks",
    status: why === undefined ? "ok" : "warning",
    found: why ?? "bridges, virtual Ethernet pairs and nftables work",
    meaning:
      why === undefined
        ? "workloads are connected to networks, and their ports published"
        : "a workload that asks for no network in particular gets a loopback interface only; others are refused",
    remedy:
      why === undefined ? "" : "apt-get install nftables; modprobe -a bridge veth nf_tables nft_chain_nat",
  };
}
