/** /build of the Engine API. */
import type { BuildLine, BuildPruneReport, RegistryAuthHeader } from "../contract/docker.ts";
import { ApiError } from "./api-error.ts";
import { type Filters, filtersQuery } from "./filters.ts";
import type { Source } from "./images.ts";
import { jsonLines } from "./json-lines.ts";
import { checked } from "./lazy-schemas.ts";
import type { Transport } from "./transport.ts";

export interface BuildOptions {
  /** Path in the context; `Dockerfile` when not given. */
  readonly dockerfile?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  /** Undefined: named, but without a value. */
  readonly buildArgs?: Readonly<Record<string, string | undefined>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly target?: string | undefined;
  readonly noCache?: boolean | undefined;
  readonly pull?: boolean | undefined;
  readonly cacheFrom?: readonly string[] | undefined;
  /** Whether workloads of commands go: that succeeded (yes when not given), that failed. */
  readonly remove?: boolean | undefined;
  readonly forceRemove?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  readonly squash?: boolean | undefined;
  /** The wall that commands run behind. */
  readonly isolation?: string | undefined;
  readonly networkMode?: string | undefined;
  readonly platform?: string | undefined;
  readonly extraHosts?: readonly string[] | undefined;
  /** Bytes. */
  readonly memory?: number | undefined;
  readonly memorySwap?: number | undefined;
  readonly shmSize?: number | undefined;
  readonly cpuPeriod?: number | undefined;
  readonly cpuQuota?: number | undefined;
  readonly cpuShares?: number | undefined;
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  readonly cgroupParent?: string | undefined;
  readonly securityOpt?: readonly string[] | undefined;
  readonly ulimits?:
    | readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[]
    | undefined;
  /** By registry. */
  readonly auths?: Readonly<Record<string, RegistryAuthHeader>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class Builder {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Builds an image of a context: a tar, or the URL of a tar, a Dockerfile or a git repository. The line with `aux`
   * has the image's id. Throws `ApiError` when the build fails, at whatever point; the status is the exit code of the
   * command that failed, if one did.
   */
  async *build(
    context: Source | { readonly url: string },
    options: BuildOptions = {},
  ): AsyncGenerator<BuildLine, void, void> {
    const { auths, signal } = options;
    const upload =
      "url" in context
        ? undefined
        : { data: context.data, size: context.size, contentType: "application/x-tar" };
    const headers =
      auths === undefined
        ? {}
        : { "X-Registry-Config": Buffer.from(JSON.stringify(auths)).toString("base64url") };
    const query = { ...queryOf(options), remote: "url" in context ? context.url : undefined };
    const answer = await this.#transport.request("POST", "/build", { query, headers, upload, signal });
    for await (const value of jsonLines(answer)) {
      const line = await checked("buildLine", value);
      if (line.error !== undefined) throw new ApiError(line.errorDetail?.code ?? 500, line.error);
      yield line;
    }
  }

  /** Forgets what steps of earlier builds made. */
  async prune(
    options: {
      /** Also what images have, too. */
      readonly all?: boolean | undefined;
      /** Bytes that may stay. */
      readonly keepStorage?: number | undefined;
      readonly filters?: Filters | undefined;
    } = {},
  ): Promise<BuildPruneReport> {
    const query = {
      all: options.all,
      "keep-storage": options.keepStorage,
      filters: filtersQuery(options.filters),
    };
    return checked("buildPrune", await this.#transport.json("POST", "/build/prune", { query }));
  }
}

function queryOf(options: BuildOptions) {
  const json = (value: unknown) => (value === undefined ? undefined : JSON.stringify(value));
  const buildArgs =
    options.buildArgs === undefined
      ? undefined
      : Object.fromEntries(Object.entries(options.buildArgs).map(([name, value]) => [name, value ?? null]));
  return {
    dockerfile: options.dockerfile,
    t: options.tags,
    buildargs: json(buildArgs),
    labels: json(options.labels),
    target: options.target,
    nocache: options.noCache,
    pull: options.pull,
    cachefrom: json(options.cacheFrom),
    rm: options.remove,
    forcerm: options.forceRemove,
    q: options.quiet,
    squash: options.squash,
    isolation: options.isolation,
    networkmode: options.networkMode,
    platform: options.platform,
    extrahosts: options.extraHosts,
    memory: options.memory,
    memswap: options.memorySwap,
    shmsize: options.shmSize,
    cpuperiod: options.cpuPeriod,
    cpuquota: options.cpuQuota,
    cpushares: options.cpuShares,
    cpusetcpus: options.cpusetCpus,
    cpusetmems: options.cpusetMems,
    cgroupparent: options.cgroupParent,
    securityopt: json(options.securityOpt),
    ulimits: json(options.ulimits),
  };
}
