/**
 * Rates of a workload, over all of its networks: what passes the host's ends of its cables goes through one queue in each
 * direction that has a limit, an interface of the kind ifb. Nothing of it is where the workload could reach.
 *
 * The queues are named after a number of the start's, recorded before they are made, and swept with the cables.
 */
import { randomBytes } from "node:crypto";
import { HullError } from "../../contract/errors.ts";
import { deleteLink, findLink, makeQueueDevice } from "../../host/network/links.ts";
import type { Message } from "../../host/network/netlink.ts";
import { detour, limitRate, noDetour } from "../../host/network/traffic-control.ts";
import { errnoNameOf } from "../../host/system-error.ts";
import { mtuOf } from "../links/options.ts";
import { defaultMtu } from "../links/wiring.ts";
import type { NetworkContext } from "../networks/context.ts";
import type { WorkloadRecord } from "../records/types.ts";

export function newQueueNumber(): string {
  return randomBytes(6).toString("hex");
}

export function isLimited({ request }: WorkloadRecord): boolean {
  return request.ingressRate !== undefined || request.egressRate !== undefined;
}

/** The queues that a workload has while it runs. */
export function queuesOf({ queue, request }: WorkloadRecord): { ingress?: string; egress?: string } {
  if (queue === undefined) return {};
  return {
    ...(request.ingressRate === undefined ? {} : { ingress: `hi${queue}` }),
    ...(request.egressRate === undefined ? {} : { egress: `ho${queue}` }),
  };
}

/** Makes the queues as the record has them, and leads all of its cables through; the record is written already. */
export function shape(context: NetworkContext, record: WorkloadRecord): void {
  if (record.queue === undefined) return;
  const { socket } = context;
  const { ingressRate, egressRate } = record.request;
  const { ingress, egress } = queuesOf(record);
  const largest = Math.max(
    ...record.endpoints.map(({ network: id }) => {
      const network = context.records.networks.get(id);
      return (network === undefined ? undefined : mtuOf(network)) ?? defaultMtu;
    }),
    defaultMtu,
  );
  try {
    const sent = makeQueue(context, ingress, ingressRate, largest);
    const received = makeQueue(context, egress, egressRate, largest);
    for (const { hostLink } of record.endpoints) {
      const index = findLink(socket, hostLink)?.index;
      if (index === undefined) continue;
      const limited = sent !== undefined || received !== undefined;
      // What the host's end sends, the workload receives.
      socket.request([noDetour(index), ...(limited ? detour(index, { received, sent }) : [])]);
    }
    const unused = [`hi${record.queue}`, `ho${record.queue}`].filter(
      (name) => name !== ingress && name !== egress,
    );
    socket.request(unused.map(deleteLink));
  } catch (error) {
    throw explain(error);
  }
}

/** Index of the queue; undefined when there is to be none. */
function makeQueue(
  { socket, tag }: NetworkContext,
  name: string | undefined,
  rate: number | undefined,
  largest: number,
): number | undefined {
  if (name === undefined || rate === undefined) return undefined;
  const made: Message[] = makeQueueDevice(name, { alias: tag, noGeneratedAddress: true, up: true });
  if (findLink(socket, name) === undefined) socket.request(made);
  const index = findLink(socket, name)?.index;
  if (index === undefined) throw new HullError("networkUnavailable", { why: `the queue ${name} vanished` });
  socket.request([limitRate(index, rate, largest)]);
  return index;
}

function explain(error: unknown): unknown {
  if (!["EOPNOTSUPP", "ENOENT"].includes(errnoNameOf(error) ?? "")) return error;
  return new HullError(
    "networkUnavailable",
    {
      why: "this kernel cannot limit rates: load the modules ifb, sch_tbf, sch_ingress, cls_u32 and act_mirred",
    },
    { cause: error },
  );
}
