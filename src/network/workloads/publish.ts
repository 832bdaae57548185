/** Changes of the ports that a workload publishes, while it runs or rests. */
import { HullError } from "../../contract/errors.ts";
import type { NetworkContext } from "../networks/context.ts";
import { boundTo } from "../ports/bindings.ts";
import { HeldPorts, holdPorts } from "../ports/ports.ts";
import type { PortRequest, WorkloadRecord } from "../records/types.ts";
import { hostAddressOf, requireWorkload, targetOf } from "./attach.ts";

export async function changePorts(
  context: NetworkContext,
  id: string,
  add: readonly PortRequest[],
  remove: readonly PortRequest[],
): Promise<void> {
  const record = requireWorkload(context, id);
  if (record.endpoints.length === 0)
    throw new HullError("conflict", {
      what: `container ${record.name} is on no network that ports could be led from`,
    });
  for (const one of remove)
    if (!record.request.ports.some((port) => matches(port, one)) && !boundMatch(record, one))
      throw new HullError("conflict", { what: `container ${record.name} does not publish ${portText(one)}` });
  const ports = [...record.request.ports.filter((port) => !remove.some((one) => matches(port, one))), ...add];
  const changed = { ...record, request: { ...record.request, ports } };
  if (!record.live) return context.records.putWorkload(changed);
  await changeLive(context, changed, add, remove);
}

/** New ones are taken first, so that nothing has changed when one cannot be had. */
async function changeLive(
  context: NetworkContext,
  record: WorkloadRecord,
  add: readonly PortRequest[],
  remove: readonly PortRequest[],
): Promise<void> {
  const before = context.ports.get(record.id);
  const target = targetOf(context, record);
  const gone = (bound: WorkloadRecord["bound"][number]): boolean => remove.some((one) => boundIs(bound, one));
  const added = holdPorts(boundTo(hostAddressOf(context, record), add), target);
  const leaving = before?.redirects.filter(({ bound }) => gone(bound)) ?? [];
  try {
    const bound = [...record.bound.filter((one) => !gone(one)), ...added.bound];
    context.records.putWorkload({ ...record, bound });
    await context.firewall.change("delete", leaving);
    before?.release(gone);
    const all = before === undefined ? added : HeldPorts.joined(before, added);
    context.ports.set(record.id, all);
    await context.firewall.change("add", added.redirects);
  } catch (error) {
    if (context.ports.get(record.id) === before) added[Symbol.dispose]();
    throw error;
  }
}

function matches(port: PortRequest, wanted: PortRequest): boolean {
  return (
    port.protocol === wanted.protocol &&
    port.port === wanted.port &&
    (wanted.hostFirst === 0 || port.hostFirst === wanted.hostFirst) &&
    (wanted.hostAddress === "" || port.hostAddress === wanted.hostAddress)
  );
}

function boundMatch(record: WorkloadRecord, wanted: PortRequest): boolean {
  return record.bound.some((bound) => boundIs(bound, wanted));
}

function boundIs(bound: WorkloadRecord["bound"][number], wanted: PortRequest): boolean {
  return (
    bound.protocol === wanted.protocol &&
    bound.port === wanted.port &&
    (wanted.hostFirst === 0 || bound.hostPort === wanted.hostFirst) &&
    (wanted.hostAddress === "" || bound.hostAddress === wanted.hostAddress)
  );
}

function portText({ hostAddress, hostFirst, port, protocol }: PortRequest): string {
  const host = hostFirst === 0 ? "" : `${hostAddress === "" ? "" : `${hostAddress}:`}${hostFirst}:`;
  return `${host}${port}/${protocol}`;
}
