/** Image configs: from JSON that comes from outside, and made for images that start here. Source: OCI image-spec, config.md. */
import * as v from "valibot";
import { dictionary } from "../contract/dictionary.ts";
import { HullError, messageOf } from "../contract/errors.ts";
import { isDigest } from "./content/content-store.ts";
import type { Digest, ImageConfig } from "./image-store.ts";
import type { Platform } from "./platform.ts";

/** Go writes null for what is empty. */
const text = v.optional(v.nullable(v.string(), ""), "");
const texts = v.optional(v.nullable(v.array(v.string()), []), []);
/** Sets are objects with empty values. */
const textSet = v.pipe(
  v.optional(v.nullable(dictionary(v.unknown()), {}), {}),
  v.transform((set) => Object.keys(set)),
);
const digest = v.custom<Digest>(
  (value) => typeof value === "string" && isDigest(value),
  "not a sha256 digest",
);

const runSchema = v.object({
  Env: texts,
  // Docker's oldest images have one string where a list is meant.
  Entrypoint: v.optional(v.nullable(v.union([v.array(v.string()), v.string()]), []), []),
  Cmd: v.optional(v.nullable(v.union([v.array(v.string()), v.string()]), []), []),
  WorkingDir: text,
  User: text,
  Labels: v.optional(v.nullable(dictionary(v.string()), {}), {}),
  ExposedPorts: textSet,
  Volumes: textSet,
  StopSignal: text,
  OnBuild: texts,
  Shell: texts,
  Healthcheck: v.optional(v.nullable(v.looseObject({}))),
});

const historySchema = v.object({
  created: text,
  created_by: text,
  comment: text,
  empty_layer: v.optional(v.nullable(v.boolean(), false), false),
});

const configSchema = v.object({
  architecture: v.string(),
  os: v.string(),
  variant: text,
  created: text,
  author: text,
  config: v.optional(v.nullable(v.partial(runSchema), {}), {}),
  rootfs: v.object({ type: v.literal("layers"), diff_ids: v.array(digest) }),
  history: v.optional(v.nullable(v.array(historySchema), []), []),
});

export interface ParsedConfig {
  readonly config: ImageConfig;
  readonly platform: Platform;
  readonly diffIds: readonly Digest[];
}

/** Throws `corrupt`. `what` names the config in the message. */
export function parseConfig(json: string, what: string): ParsedConfig {
  const raw = parseJson(configSchema, json, what);
  const run = raw.config;
  return {
    platform: { os: raw.os, architecture: raw.architecture, variant: raw.variant },
    diffIds: raw.rootfs.diff_ids,
    config: {
      architecture: raw.architecture,
      os: raw.os,
      created: raw.created,
      author: raw.author,
      env: run.Env ?? [],
      entrypoint: listOf(run.Entrypoint),
      cmd: listOf(run.Cmd),
      workingDir: run.WorkingDir ?? "",
      user: run.User ?? "",
      labels: run.Labels ?? {},
      exposedPorts: run.ExposedPorts ?? [],
      volumes: run.Volumes ?? [],
      stopSignal: run.StopSignal ?? "",
      ...shownOf(run),
      history: raw.history.map((entry) => ({
        created: entry.created,
        createdBy: entry.created_by,
        comment: entry.comment,
        emptyLayer: entry.empty_layer,
      })),
    },
  };
}

function shownOf({ OnBuild, Shell, Healthcheck }: v.InferOutput<typeof configSchema>["config"]) {
  const shown = {
    ...(OnBuild === undefined || OnBuild.length === 0 ? {} : { OnBuild }),
    ...(Shell === undefined || Shell.length === 0 ? {} : { Shell }),
    ...(Healthcheck == null ? {} : { Healthcheck }),
  };
  return Object.keys(shown).length === 0 ? {} : { shown };
}

/** Parses JSON from outside by a schema. Throws `corrupt`. */
export function parseJson<T extends v.GenericSchema>(
  schema: T,
  json: string,
  what: string,
): v.InferOutput<T> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new HullError("corrupt", { what, why: `it is not JSON: ${messageOf(error)}` }, { cause: error });
  }
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const path = v.getDotPath(issue) ?? "";
  throw new HullError("corrupt", { what, why: `${path === "" ? "" : `${path}: `}${issue.message}` });
}

/** The JSON of a config, fields in a fixed order so that the same config has the same id. */
export function formatConfig(config: ImageConfig, platform: Platform, diffIds: readonly Digest[]): string {
  return JSON.stringify({
    ...(config.created === "" ? {} : { created: config.created }),
    ...(config.author === "" ? {} : { author: config.author }),
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === "" ? {} : { variant: platform.variant }),
    config: {
      ...(config.user === "" ? {} : { User: config.user }),
      ...(config.exposedPorts.length === 0 ? {} : { ExposedPorts: setOf(config.exposedPorts) }),
      ...(config.env.length === 0 ? {} : { Env: config.env }),
      ...(config.entrypoint.length === 0 ? {} : { Entrypoint: config.entrypoint }),
      ...(config.cmd.length === 0 ? {} : { Cmd: config.cmd }),
      ...(config.volumes.length === 0 ? {} : { Volumes: setOf(config.volumes) }),
      ...(config.workingDir === "" ? {} : { WorkingDir: config.workingDir }),
      ...(Object.keys(config.labels).length === 0 ? {} : { Labels: config.labels }),
      ...(config.stopSignal === "" ? {} : { StopSignal: config.stopSignal }),
    },
    rootfs: { type: "layers", diff_ids: diffIds },
    history: config.history.map((entry) => ({
      ...(entry.created === "" ? {} : { created: entry.created }),
      ...(entry.createdBy === "" ? {} : { created_by: entry.createdBy }),
      ...(entry.comment === "" ? {} : { comment: entry.comment }),
      ...(entry.emptyLayer ? { empty_layer: true } : {}),
    })),
  });
}

/** What an image says of how it is run when it says nothing. */
export const emptyRun = {
  author: "",
  env: [],
  entrypoint: [],
  cmd: [],
  workingDir: "",
  user: "",
  labels: {},
  exposedPorts: [],
  volumes: [],
  stopSignal: "",
} satisfies Partial<ImageConfig>;

export function emptyConfig(platform: Platform, created: string): ImageConfig {
  return {
    architecture: platform.architecture,
    os: platform.os,
    created,
    ...emptyRun,
    history: [],
  };
}

function listOf(value: string | string[] | undefined): readonly string[] {
  return typeof value === "string" ? [value] : (value ?? []);
}

function setOf(keys: readonly string[]): Record<string, object> {
  return Object.fromEntries(keys.map((key) => [key, {}]));
}
