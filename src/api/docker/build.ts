/** POST /build and POST /build/prune: what the docker command's classic builder sends. */
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import type { BuildCacheItem, BuildPruneReport } from "../../contract/docker/build.ts";
import { HullError } from "../../contract/errors.ts";
import type { BuildRequest, ContextSource } from "../../engine/build/request.ts";
import { rfc3339 } from "../../engine/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import type { CacheUsage } from "../../image/build/build-store.ts";
import { type Exchange, parseWith } from "../exchange.ts";
import { registryAuths } from "../registry-auth.ts";
import type { Route } from "../server.ts";
import { selectForPrune } from "./build-prune.ts";
import { BuildStream } from "./build-stream.ts";
import { createBody, translateCreate } from "./create-request.ts";

export function buildRoutes(engine: Engine): Route[] {
  return [
    { method: "POST", path: "/build", handle: (exchange) => build(engine, exchange) },
    { method: "POST", path: "/build/prune", handle: (exchange) => prune(engine, exchange) },
  ];
}

/** Those of Docker that Hull has no answer for. */
const refused: Readonly<Record<string, string>> = {
  squash: "every instruction keeps its layer: use a further stage and COPY --from instead",
  outputs: "the result is an image: use hull save or hull create and cp",
};

async function build(engine: Engine, exchange: Exchange): Promise<void> {
  for (const [name, why] of Object.entries(refused))
    if (exchange.flag(name)) throw new HullError("unsupported", { what: name, where: " in a build", why });
  if (!["", "1"].includes(exchange.text("version")))
    throw new HullError("unsupported", {
      what: "BuildKit",
      where: "",
      why: "Hull speaks the classic builder's protocol: set DOCKER_BUILDKIT=0",
    });
  const request = translateBuild(exchange);
  const stream = new BuildStream(exchange, exchange.flag("q"));
  await stream.run(() => engine.build(request, stream, exchange.gone));
}

const values = v.nullish(dictionary(v.nullable(v.string())), {});
const labels = v.nullish(dictionary(v.string()), {});
const texts = v.nullish(v.array(v.string()), []);

export function translateBuild(exchange: Exchange): BuildRequest {
  const given = parseWith(values, exchange.jsonParameter("buildargs"), "buildargs");
  const references = exchange.query.getAll("t").filter((reference) => reference !== "");
  return {
    context: contextOf(exchange),
    dockerfile: dockerfileOf(exchange.text("dockerfile")),
    references,
    arguments: new Map(Object.entries(given).map(([name, value]) => [name, value ?? undefined])),
    labels: parseWith(labels, exchange.jsonParameter("labels"), "labels"),
    target: exchange.text("target"),
    useCache: !exchange.flag("nocache"),
    pull: exchange.flag("pull"),
    cacheFrom: parseWith(texts, exchange.jsonParameter("cachefrom"), "cachefrom"),
    remove: exchange.flag("rm", true),
    forceRemove: exchange.flag("forcerm"),
    template: templateOf(exchange),
    authOf: registryAuths(exchange),
  };
}

/** What commands run with is checked as for any workload: acted upon, or refused by name. */
function templateOf(exchange: Exchange): BuildRequest["template"] {
  const body = {
    Image: "build",
    HostConfig: {
      Isolation: exchange.text("isolation"),
      Memory: exchange.integer("memory") ?? 0,
      MemorySwap: exchange.integer("memswap") ?? 0,
      CpuShares: exchange.integer("cpushares") ?? 0,
      CpusetCpus: exchange.text("cpusetcpus"),
      CpusetMems: exchange.text("cpusetmems"),
      CpuPeriod: exchange.integer("cpuperiod") ?? 0,
      CpuQuota: exchange.integer("cpuquota") ?? 0,
      ShmSize: exchange.integer("shmsize") ?? 0,
      CgroupParent: exchange.text("cgroupparent"),
      NetworkMode: exchange.text("networkmode"),
      Ulimits: exchange.jsonParameter("ulimits"),
      SecurityOpt: exchange.query.getAll("securityopt").filter((option) => option !== ""),
      ExtraHosts: exchange.query.getAll("extrahosts").filter((host) => host !== ""),
    },
  };
  return translateCreate(parseWith(createBody, body, "build"), "", exchange.text("platform"));
}

function contextOf(exchange: Exchange): ContextSource {
  const url = exchange.text("remote");
  // The name that clients give to a context that they send.
  if (url !== "" && url !== "client-session") return { kind: "remote", url };
  return { kind: "tar", bytes: exchange.stream() };
}

function dockerfileOf(path: string): string {
  if (path === "") return "Dockerfile";
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..") || parts.length === 0)
    throw new HullError("invalidParameter", {
      what: "dockerfile",
      value: path,
      why: "The Dockerfile must be within the build context",
    });
  return parts.join("/");
}

async function prune(engine: Engine, exchange: Exchange): Promise<void> {
  const select = selectForPrune(exchange);
  const { keys, bytes } = await engine.buildCache.prune(select);
  exchange.sendJson(200, {
    CachesDeleted: keys.map(cacheId),
    SpaceReclaimed: bytes,
  } satisfies BuildPruneReport);
}

/** The build cache as `system df` lists it. */
export function buildCacheItems(usage: readonly CacheUsage[]): BuildCacheItem[] {
  const byImage = new Map<string, string>(usage.map(({ step }) => [step.id, cacheId(step.key)]));
  return usage.map(({ step, sizeBytes, shared }) => {
    const parent = byImage.get(step.parent);
    return {
      ID: cacheId(step.key),
      Parent: parent ?? "",
      Parents: parent === undefined ? [] : [parent],
      Type: "regular",
      Description: step.createdBy,
      InUse: false,
      Shared: shared,
      Size: sizeBytes,
      CreatedAt: rfc3339(step.created),
      LastUsedAt: rfc3339(step.used),
      UsageCount: step.uses,
    };
  });
}

/** As many characters as Docker's own have. */
function cacheId(key: string): string {
  return key.slice(0, 25);
}
