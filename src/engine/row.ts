/** Rows of the records, parsed: what another version or a bad disk wrote does not get past here. */
import * as v from "valibot";
import { dictionary } from "../contract/dictionary.ts";
import { defaultNetworkRequest } from "../network/records/default-request.ts";
import { networkRequestSchema } from "../network/records/records.ts";
import { mountRequestSchema, workloadMountSchema } from "./mounts/mount-request.ts";
import { states, type WorkloadRecord } from "./record.ts";

export interface Row {
  id: string;
  short: string;
  name: string;
  wall: string;
  image: string;
  created_at: number;
  state: string;
  life: string;
  plan: string;
}

const text = v.string();
const texts = v.array(text);
const count = v.number();
const size = v.object({ columns: count, rows: count });
const wall = v.picklist(["container", "vm"]);
const digest = v.custom<`sha256:${string}`>(
  (value) => typeof value === "string" && /^sha256:[0-9a-f]{64}$/.test(value),
);

const requestSchema = v.object({
  name: v.optional(text),
  image: text,
  wall,
  isolation: text,
  entrypoint: v.optional(texts),
  command: v.optional(texts),
  env: texts,
  workingDirectory: text,
  user: text,
  hostname: text,
  labels: dictionary(text),
  exposedPorts: texts,
  terminal: v.boolean(),
  stdin: v.boolean(),
  stdinOnce: v.boolean(),
  attached: v.object({ stdin: v.boolean(), stdout: v.boolean(), stderr: v.boolean() }),
  size: v.optional(size),
  readOnlyRoot: v.boolean(),
  memoryBytes: count,
  nanoCpus: count,
  pidsLimit: count,
  storageBytes: v.optional(count, 0),
  capAdd: texts,
  capDrop: texts,
  stopSignal: text,
  stopTimeout: v.optional(count),
  restart: v.object({
    name: v.picklist(["no", "always", "unless-stopped", "on-failure"]),
    maximumRetryCount: count,
  }),
  autoRemove: v.boolean(),
  mounts: v.optional(v.array(mountRequestSchema), []),
  volumesFrom: v.optional(texts, []),
  ofBuild: v.optional(v.boolean(), false),
  network: v.optional(networkRequestSchema),
  links: v.optional(texts, []),
});

const specSchema = v.object({
  id: text,
  name: text,
  directory: text,
  runtimeDirectory: text,
  layers: texts,
  process: v.object({
    args: texts,
    env: texts,
    cwd: text,
    user: text,
    capabilities: texts,
    terminal: v.boolean(),
    stdin: v.boolean(),
    stdinOnce: v.boolean(),
    size: v.exactOptional(size),
  }),
  hostname: text,
  readOnlyRoot: v.boolean(),
  storageBytes: v.exactOptional(count),
  resources: v.object({ memoryBytes: count, cpus: count, pids: count }),
  mounts: v.exactOptional(
    v.array(
      v.object({
        type: v.picklist(["bind", "tmpfs"]),
        source: text,
        target: text,
        readOnly: v.boolean(),
        options: texts,
      }),
    ),
  ),
  logPath: text,
});

const lifeSchema = v.object({
  startedAt: v.exactOptional(count),
  finishedAt: v.exactOptional(count),
  exitCode: count,
  oomKilled: v.boolean(),
  error: text,
  lost: v.boolean(),
  restartCount: count,
  stoppedByUser: v.boolean(),
  sandbox: v.boolean(),
  discard: v.exactOptional(wall),
  removingVolumes: v.exactOptional(v.boolean()),
  before: v.exactOptional(v.picklist(["created", "exited", "restarting"])),
});

const planSchema = v.object({
  request: requestSchema,
  spec: specSchema,
  mounts: v.optional(v.array(workloadMountSchema), []),
  stopSignal: count,
  labels: dictionary(text),
});

/** Members that JSON leaves out when they are undefined. */
const absent = {
  name: undefined,
  entrypoint: undefined,
  command: undefined,
  size: undefined,
  stopTimeout: undefined,
};

export function recordOf(row: Row): WorkloadRecord {
  const plan = v.parse(planSchema, JSON.parse(row.plan));
  return {
    id: row.id,
    name: row.name,
    wall: v.parse(wall, row.wall),
    image: v.parse(digest, row.image),
    createdAt: row.created_at,
    state: v.parse(v.picklist(states), row.state),
    life: v.parse(lifeSchema, JSON.parse(row.life)),
    ...plan,
    // Missing in the records of earlier versions.
    request: { ...absent, ...plan.request, network: plan.request.network ?? defaultNetworkRequest },
  };
}
