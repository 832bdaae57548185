/** What the agent of a running workload is asked and told, beside its processes' life. */
import type { NetworkChange, ProcessRow } from "../wall.ts";
import { layMoreCables } from "./cables.ts";
import { type FieldReader, FieldWriter } from "./fields.ts";
import { networkFields } from "./network.ts";
import { limits, verbs } from "./protocol.ts";

export type Verb = (typeof verbs)[keyof typeof verbs];

/** Sends a request, and reads what is answered. */
export type Ask = <Answer>(
  verb: Verb,
  fields: FieldWriter,
  read: (answer: FieldReader) => Answer,
) => Promise<Answer>;

const nothing = (): void => undefined;

export function askProcessCount(ask: Ask): Promise<number> {
  return ask(verbs.statistics, new FieldWriter(), (answer) => answer.u32());
}

export function askProcesses(ask: Ask): Promise<ProcessRow[]> {
  return ask(verbs.processes, new FieldWriter(), (answer) =>
    Array.from({ length: Math.min(answer.u32(), limits.strings) }, () => ({
      pid: answer.u32(),
      parentPid: answer.u32(),
      user: answer.string(),
      command: answer.string(),
    })),
  );
}

/** `pid`: QEMU's, which is in the network name space. */
export async function tellNetwork(ask: Ask, pid: number, change: NetworkChange): Promise<void> {
  layMoreCables(
    pid,
    change.interfaces.filter(({ name }) => change.added.includes(name)),
  );
  const network = { ...change, namespace: undefined, taps: [] };
  await ask(verbs.setNetwork, new FieldWriter().bytes(networkFields(network)), nothing);
  for (const [path, content] of [
    ["/etc/hosts", change.hosts],
    ["/etc/resolv.conf", change.resolver],
  ] as const)
    if (content !== undefined)
      await ask(verbs.writeFile, new FieldWriter().string(path).string(content), nothing);
}
