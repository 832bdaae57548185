/**
 * The config of a stage while it is being built: what the base image's says, changed by instructions. Members that
 * Hull does not know are kept. Sources: OCI image-spec, config.md; moby image/spec, "Image JSON", for OnBuild, Shell and Healthcheck.
 */

import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import { HullError } from "../../contract/errors.ts";
import { emptyRun, parseConfig, parseJson } from "../config.ts";
import type { Digest, ImageConfig } from "../image-store.ts";
import { hostPlatform } from "../platform.ts";
import type { Healthcheck } from "./dockerfile/instruction.ts";

/** Each image is made at a time of its own, and its history keeps members that Hull does not know. */
export interface StageConfig extends Omit<ImageConfig, "created" | "history"> {
  readonly variant: string;
  readonly onBuild: readonly string[];
  readonly shell: readonly string[];
  readonly healthcheck: Healthcheck | undefined;
  readonly history: readonly HistoryEntry[];
  /** Members of the base image's config that are none of these. */
  readonly others: Readonly<Record<string, unknown>>;
}

type HistoryEntry = Readonly<Record<string, unknown>>;

const list = v.optional(v.nullable(v.array(v.string()), []), []);
const count = v.exactOptional(v.number());
const extraSchema = v.looseObject({
  config: v.optional(
    v.nullable(
      v.looseObject({
        OnBuild: list,
        Shell: list,
        Healthcheck: v.optional(
          v.nullable(
            v.object({
              Test: list,
              Interval: count,
              Timeout: count,
              StartPeriod: count,
              StartInterval: count,
              Retries: count,
            }),
          ),
        ),
      }),
    ),
  ),
  history: v.optional(v.nullable(v.array(dictionary(v.unknown())), []), []),
});

/** Told anew by every image, or left from a container of Docker's that nobody has. */
const rewritten = new Set([
  ...["created", "author", "architecture", "os", "variant", "config", "rootfs", "history"],
  ...["container", "container_config", "docker_version", "id", "parent", "Size"],
]);

export function emptyStage(): StageConfig {
  const { architecture, os, variant } = hostPlatform();
  return {
    architecture,
    os,
    variant,
    ...emptyRun,
    onBuild: [],
    shell: [],
    healthcheck: undefined,
    history: [],
    others: {},
  };
}

export function parseStage(json: string, what: string): StageConfig {
  const { config, platform } = parseConfig(json, what);
  const extra = parseJson(extraSchema, json, what);
  const healthcheck = extra.config?.Healthcheck ?? undefined;
  return {
    ...config,
    variant: platform.variant,
    onBuild: extra.config?.OnBuild ?? [],
    shell: extra.config?.Shell ?? [],
    healthcheck,
    history: extra.history,
    others: Object.fromEntries(Object.entries(extra).filter(([name]) => !rewritten.has(name))),
  };
}

/** What no registry would take, and no pull would fetch again. */
const maxConfigBytes = 8 * 1024 * 1024;

/** Throws `tooLarge`. */
export function checkStageSize(json: string): void {
  if (json.length > maxConfigBytes)
    throw new HullError("tooLarge", {
      what: "the image's config",
      value: `${json.length} bytes`,
      limit: `${maxConfigBytes} bytes`,
    });
}

/** The config's JSON, members in a fixed order: the same stage has the same id. */
export function formatStage(stage: StageConfig, created: string, diffIds: readonly Digest[]): string {
  return JSON.stringify({
    created,
    ...(stage.author === "" ? {} : { author: stage.author }),
    architecture: stage.architecture,
    os: stage.os,
    ...(stage.variant === "" ? {} : { variant: stage.variant }),
    ...stage.others,
    config: {
      ...(stage.user === "" ? {} : { User: stage.user }),
      ...(stage.exposedPorts.length === 0 ? {} : { ExposedPorts: setOf(stage.exposedPorts) }),
      ...(stage.env.length === 0 ? {} : { Env: stage.env }),
      ...(stage.entrypoint.length === 0 ? {} : { Entrypoint: stage.entrypoint }),
      ...(stage.cmd.length === 0 ? {} : { Cmd: stage.cmd }),
      ...(stage.healthcheck === undefined ? {} : { Healthcheck: stage.healthcheck }),
      ...(stage.volumes.length === 0 ? {} : { Volumes: setOf(stage.volumes) }),
      ...(stage.workingDir === "" ? {} : { WorkingDir: stage.workingDir }),
      ...(stage.onBuild.length === 0 ? {} : { OnBuild: stage.onBuild }),
      ...(Object.keys(stage.labels).length === 0 ? {} : { Labels: sorted(stage.labels) }),
      ...(stage.stopSignal === "" ? {} : { StopSignal: stage.stopSignal }),
      ...(stage.shell.length === 0 ? {} : { Shell: stage.shell }),
    },
    rootfs: { type: "layers", diff_ids: diffIds },
    history: stage.history,
  });
}

export interface HistoryLine {
  readonly created: string;
  readonly createdBy: string;
  readonly author: string;
  readonly comment?: string;
  readonly emptyLayer: boolean;
}

export function withHistory(stage: StageConfig, line: HistoryLine): StageConfig {
  const entry = {
    created: line.created,
    created_by: line.createdBy,
    ...(line.author === "" ? {} : { author: line.author }),
    ...(line.comment ? { comment: line.comment } : {}),
    ...(line.emptyLayer ? { empty_layer: true } : {}),
  };
  return { ...stage, history: [...stage.history, entry] };
}

function setOf(keys: readonly string[]): Record<string, object> {
  return Object.fromEntries(keys.toSorted().map((key) => [key, {}]));
}

function sorted(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
