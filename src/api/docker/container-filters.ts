/** The filters of GET /containers/json, as Docker has them (moby, daemon/list.go). */
import { HullError } from "../../contract/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Workload } from "../../engine/workload.ts";
import { bindings } from "../../network/ports/bindings.ts";
import type { WorkloadRecord } from "../../network/records/types.ts";
import { booleanFilter, type Filters, passes, passesLabels, passesPatterns } from "./filters.ts";
import { statusOf } from "./status.ts";

export const containerFilters = [
  "ancestor",
  "before",
  "exited",
  "expose",
  "health",
  "id",
  "is-task",
  "isolation",
  "label",
  "name",
  "network",
  "publish",
  "since",
  "status",
  "volume",
];

const statuses = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const healths = ["none", "starting", "healthy", "unhealthy"];

function requireChoice(filters: Filters, name: string, choices: readonly string[]): void {
  const unknown = filters.get(name)?.find((value) => !choices.includes(value));
  if (unknown !== undefined)
    throw new HullError("invalidParameter", {
      what: `filter ${name}`,
      value: unknown,
      why: `use one of ${choices.join(", ")}`,
    });
}

/** A predicate for the filters; what needs looking up is looked up before the first question. Throws `invalidParameter`. */
export async function matcherOf(engine: Engine, filters: Filters): Promise<(workload: Workload) => boolean> {
  requireChoice(filters, "status", statuses);
  requireChoice(filters, "health", healths);
  const task = booleanFilter(filters, "is-task") ?? false;
  const reachable = passesPorts(filters);
  const ancestors = new Set<string>();
  for (const reference of filters.get("ancestor") ?? []) {
    const image = await engine.images.resolve(reference).catch(() => undefined);
    ancestors.add(image?.id ?? reference);
  }
  const createdAt = (word: string): number => engine.find(word).record.createdAt;
  const before = (filters.get("before") ?? []).map(createdAt);
  const since = (filters.get("since") ?? []).map(createdAt);
  const named = await passesPatterns(filters, "name");
  return (workload) => {
    const { record } = workload;
    return (
      passes(filters, "id", (id) => record.id.startsWith(id)) &&
      // Docker matches the name with and without its slash.
      (named(record.name) || named(`/${record.name}`)) &&
      passes(filters, "status", (status) => statusOf(record) === status) &&
      passes(
        filters,
        "exited",
        (code) => record.state === "exited" && String(record.life.exitCode) === code,
      ) &&
      // Health is not looked after, and there is no swarm whose task it could be.
      passes(filters, "health", (health) => health === "none") &&
      !task &&
      reachable(engine.networks.of(workload)) &&
      passes(filters, "isolation", (isolation) => record.wall === isolation) &&
      passes(filters, "volume", (word) => hasMount(record, word)) &&
      passes(filters, "network", (word) => isOn(engine, record.id, word)) &&
      passes(filters, "ancestor", () => ancestors.has(record.image) || ancestors.has(record.request.image)) &&
      passesLabels(filters, "label", record.labels) &&
      before.every((instant) => record.createdAt < instant) &&
      since.every((instant) => record.createdAt > instant)
    );
  };
}

/** A volume's name, or where something is mounted, as Docker has it. */
function hasMount({ mounts }: Workload["record"], word: string): boolean {
  return mounts.some(({ source, target }) => source === word || target === word);
}

function isOn(engine: Engine, id: string, word: string): boolean {
  return engine.networks
    .list()
    .some(
      (network) =>
        (network.name === word || network.id.startsWith(word)) &&
        engine.networks.users(network).some((user) => user.id === id),
    );
}

type Ports = (port: string) => boolean;

/** `80`, `80/udp`, `8000-8080/tcp`: of the workload, not of the host. */
function portsOf(filter: string, word: string): Ports {
  const [, first = "", last = first, protocol = "tcp"] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(word) ?? [];
  if (first === "" || Number(last) < Number(first) || Number(last) > 65_535)
    throw new HullError("invalidParameter", {
      what: `filter ${filter}`,
      value: word,
      why: "use a port or a range of ports, and a protocol if it is not tcp: 80, 8000-8080/udp",
    });
  return (port) => {
    const [number, kind] = port.split("/");
    return kind === protocol && Number(number) >= Number(first) && Number(number) <= Number(last);
  };
}

type Reachable = Pick<WorkloadRecord, "request" | "exposed">;

/** `publish` and `expose`, of which either lets a workload through. Throws `invalidParameter`. */
export function passesPorts(filters: Filters): (workload: Reachable | undefined) => boolean {
  const published = (filters.get("publish") ?? []).map((word) => portsOf("publish", word));
  const exposed = (filters.get("expose") ?? []).map((word) => portsOf("expose", word));
  if (published.length + exposed.length === 0) return () => true;
  return (workload) => {
    if (workload === undefined) return false;
    const bound = bindings(workload).map(({ port, protocol }) => `${port}/${protocol}`);
    return (
      bound.some((port) => published.some((matches) => matches(port))) ||
      workload.exposed.some((port) => exposed.some((matches) => matches(port)))
    );
  };
}
