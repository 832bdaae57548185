/** Running siblings of a running workload: recorded before they are made, all of them or none. */
import { HullError } from "../contract/errors.ts";
import type { EndpointRequest } from "../network/records/types.ts";
import type { Sandbox } from "../wall/wall.ts";
import { now } from "./clock.ts";
import { type EngineContext, emit } from "./context.ts";
import { execute, type PerformStep } from "./execute.ts";
import { newId, parseName, randomName, shortId } from "./names.ts";
import { performCreate, performOn, releaseConnection, specOf } from "./perform.ts";
import { runtimeDirectory, type Step, workloadDirectory } from "./plan.ts";
import { newLife, type WorkloadRecord } from "./record.ts";
import { requireNoShare } from "./suspend.ts";
import type { Workload } from "./workload.ts";

export interface ForkRequest {
  readonly count: number;
  /** Of the one sibling, or of `NAME-1`, `NAME-2`…; undefined: they get made-up ones. */
  readonly name: string | undefined;
}

/** Each takes a jail and a network of its own; a mistyped number must not take the host along. */
const mostSiblings = 100;

export async function forkWorkload(
  context: EngineContext,
  parent: Workload,
  request: ForkRequest,
): Promise<Workload[]> {
  const { count } = request;
  if (!Number.isInteger(count) || count < 1 || count > mostSiblings)
    throw new HullError("invalidParameter", {
      what: "count",
      value: count,
      why: `1 to ${mostSiblings} siblings are made at once`,
    });
  using _lock = await parent.lock.acquire();
  const sandbox = requireForkable(context, parent);
  const records = siblingNames(context, request).map((name) => planSibling(context, parent, name));
  const siblings: Workload[] = [];
  let made: readonly Sandbox[] = [];
  const performs = new Map<Step, PerformStep>();
  const steps: Step[] = [];
  const plan = (perform: PerformStep, step: Step): void => {
    performs.set(step, perform);
    steps.push(step);
  };
  for (const record of records) {
    const perform = performCreate(context, (workload) => siblings.push(workload));
    plan(perform, { do: "record", name: "fork:record", record });
    plan(perform, {
      do: "register-network",
      name: "fork:network",
      registration: registration(context, parent, record),
    });
    plan(perform, { do: "lease-image", name: "fork:lease" });
    const { directory, logPath } = record.spec;
    plan(perform, { do: "make-directory", name: "fork:directory", path: directory, log: logPath });
    plan(perform, { do: "attach-network", name: "fork:attach" });
  }
  plan(
    async () => {
      made = await sandbox.fork(siblings.map(specOf));
      for (const sibling of siblings) releaseConnection(sibling);
      for (const [index, sibling] of siblings.entries()) sibling.sandbox = made[index];
      return async () => {
        await Promise.all(made.map((each) => each.remove()));
      };
    },
    { do: "create-sandbox", name: "fork:sandboxes" },
  );
  for (const index of records.keys())
    plan(
      async (step) => {
        const sibling = siblings[index];
        if (sibling === undefined) throw new HullError("internal", { what: "a sibling has no record" });
        emit(context, sibling, "create", { parent: parent.id });
        return await performOn(context, sibling, step);
      },
      { do: "settle-running", name: "fork:settle" },
    );
  await execute(steps, async (step) => await performs.get(step)?.(step), context);
  return siblings;
}

type ForkingSandbox = Pick<Required<Sandbox>, "fork">;

function requireForkable(context: EngineContext, parent: Workload): ForkingSandbox {
  const { name, wall } = parent.record;
  if (context.walls[wall].revive === undefined)
    throw new HullError("unsupported", {
      what: "fork",
      where: ` on the ${wall} wall`,
      why: "only a virtual machine's memory can be copied: run the workload with --isolation vm",
    });
  requireNoShare(parent, "fork");
  const { state, sandbox } = parent;
  if (state === "paused") throw new HullError("workloadPaused", { name });
  if (state === "suspended") throw new HullError("workloadSuspended", { name });
  const fork = sandbox?.fork?.bind(sandbox);
  if (state !== "running" || fork === undefined) throw new HullError("workloadNotRunning", { name });
  return { fork };
}

function siblingNames(context: EngineContext, { count, name }: ForkRequest): string[] {
  const taken = new Set(context.workloads.all().map(({ record }) => record.name));
  return Array.from({ length: count }, (_, index) => {
    if (name !== undefined) return parseName(count === 1 ? name : `${name}-${index + 1}`);
    for (let attempt = 0; ; attempt++) {
      const made = randomName(attempt);
      if (taken.has(made)) continue;
      taken.add(made);
      return made;
    }
  });
}

/** On the parent's networks, with addresses of its own, and without the ports that only one can have. */
function registration(context: EngineContext, parent: Workload, { id, name, wall, spec }: WorkloadRecord) {
  const record = context.networks.workload(parent.id);
  const request = record?.request ?? parent.record.request.network;
  const networks = record?.endpoints ?? [];
  const own = ({ aliases, links, options, gatewayPriority }: EndpointRequest): EndpointRequest => ({
    ...{ aliases, links, options, gatewayPriority },
  });
  return {
    ...{ id, name, wall, hostname: spec.hostname, links: [] },
    exposed: record?.exposed ?? [],
    request: {
      ...request,
      mode: networks[0]?.network ?? request.mode,
      endpoints: Object.fromEntries(networks.map((endpoint) => [endpoint.network, own(endpoint)])),
      ports: request.ports.filter(({ hostFirst }) => hostFirst === 0),
    },
  };
}

function planSibling(context: EngineContext, { record }: Workload, name: string): WorkloadRecord {
  const id = newId();
  const directory = workloadDirectory(context.root, id);
  const hostname = record.request.hostname === "" ? shortId(id) : record.request.hostname;
  // Its network is made for it, as for a new workload.
  const { network: _, ...spec } = record.spec;
  const { process } = spec;
  // What runs already has its parent's environment; what is executed in the sibling does not.
  const env = process.env.map((entry) =>
    entry === `HOSTNAME=${record.spec.hostname}` ? `HOSTNAME=${hostname}` : entry,
  );
  return {
    ...record,
    id,
    name,
    request: { ...record.request, name },
    spec: {
      ...spec,
      id,
      name,
      directory,
      runtimeDirectory: runtimeDirectory(context.state, id),
      process: { ...process, env },
      hostname,
      logPath: `${directory}/log`,
    },
    createdAt: now(),
    state: "creating",
    life: { ...newLife, sandbox: true },
  };
}
