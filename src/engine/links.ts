/**
 * Links of the default network, of which Docker says that they are legacy: the variables that tell a workload of another one
 * (NAME, PORT, PORT_80_TCP, ENV_…). Names are the resolver's.
 */
import { HullError, isHullError } from "../contract/errors.ts";
import type { ProcessSpec } from "../wall/wall.ts";
import type { EngineContext } from "./context.ts";
import { mergeEnv } from "./plan.ts";
import type { RunRequest } from "./request.ts";
import type { Workload } from "./workload.ts";

interface Link {
  readonly target: string;
  readonly alias: string;
}

/** What a linked workload tells of itself. */
export interface LinkFacts {
  /** `/web/db`: as the workload `web` calls it. */
  readonly name: string;
  readonly address: string;
  /** `80/tcp` */
  readonly exposed: readonly string[];
  readonly env: readonly string[];
}

function parseLink(text: string): Link {
  const [target = "", alias = target, more] = text.split(":");
  if (target === "" || alias === "" || more !== undefined)
    throw new HullError("invalidParameter", {
      what: "link",
      value: text,
      why: "write it as NAME or NAME:ALIAS",
    });
  return { target, alias };
}

/** On networks of one's own a link is a name, and may come before what it names. */
function legacyLinks({ network, links }: RunRequest): Link[] {
  return ["", "default", "bridge"].includes(network.mode) ? links.map(parseLink) : [];
}

/** Undefined when it has gone since the link was made. */
function seek({ workloads }: EngineContext, target: string): Workload | undefined {
  try {
    return workloads.find(target);
  } catch (error) {
    if (isHullError(error, "noSuchWorkload")) return undefined;
    throw error;
  }
}

/** Throws for links that lead nowhere. */
export function checkLinks(context: EngineContext, request: RunRequest): void {
  for (const { target } of legacyLinks(request)) context.workloads.find(target);
}

/** Throws `conflict` when a workload that this one is linked to does not run: it would not be told where that is. */
export function requireLinked(context: EngineContext, { record }: Workload): void {
  for (const { target, alias } of legacyLinks(record.request)) {
    const linked = seek(context, target);
    if (linked === undefined || linked.live) continue;
    throw new HullError("conflict", {
      what: `Cannot link to a non running container: /${linked.record.name} AS /${record.name}/${alias}`,
    });
  }
}

/** The process with the variables of its links to workloads that run. */
export function withLinks(context: EngineContext, { record }: Workload, process: ProcessSpec): ProcessSpec {
  const links = legacyLinks(record.request);
  if (links.length === 0) return process;
  const variables = links.flatMap(({ target, alias }) => {
    const linked = seek(context, target);
    const facts = linked?.live === true ? factsOf(context, linked, `/${record.name}/${alias}`) : undefined;
    return facts === undefined ? [] : linkVariables(facts);
  });
  return { ...process, env: mergeEnv(variables, process.env) };
}

function factsOf(context: EngineContext, { id, record }: Workload, name: string): LinkFacts | undefined {
  const place = context.networks.workload(id);
  const network = context.networks.find("bridge").id;
  const address = place?.endpoints.find((endpoint) => endpoint.network === network)?.address4;
  if (place === undefined || address === undefined) return undefined;
  return { name, address, exposed: place.exposed, env: record.spec.process.env };
}

/** What no workload tells others: where it is found, not what it is. */
const ownVariables = new Set(["PATH", "HOME", "HOSTNAME", "TERM"]);

/** In the order and the spelling of moby's daemon/links. */
export function linkVariables({ name, address, exposed, env }: LinkFacts): string[] {
  const alias = name
    .slice(name.lastIndexOf("/") + 1)
    .toUpperCase()
    .replaceAll("-", "_");
  const ports = exposed
    .map((text) => {
      const [port = "", protocol = "tcp"] = text.split("/");
      return { port: Number(port), protocol };
    })
    .toSorted((one, other) => one.port - other.port || rank(one.protocol) - rank(other.protocol));
  const url = (port: (typeof ports)[number]): string => `${port.protocol}://${address}:${port.port}`;
  const [first] = ports;
  return [
    ...(first === undefined ? [] : [`${alias}_PORT=${url(first)}`]),
    ...ports.flatMap((port) => {
      const prefix = `${alias}_PORT_${port.port}_${port.protocol.toUpperCase()}`;
      return [
        `${prefix}=${url(port)}`,
        `${prefix}_ADDR=${address}`,
        `${prefix}_PORT=${port.port}`,
        `${prefix}_PROTO=${port.protocol}`,
      ];
    }),
    `${alias}_NAME=${name}`,
    ...env.flatMap((entry) => (ownVariables.has(entry.split("=")[0] ?? "") ? [] : [`${alias}_ENV_${entry}`])),
  ];
}

function rank(protocol: string): number {
  return protocol === "tcp" ? 0 : 1;
}
