/** The client of Hull's daemon. */

import { defaults } from "../contract/defaults.ts";
import { apiVersion } from "../contract/docker.ts";
import { Box, createRequestOf, type RunOptions } from "./box.ts";
import { Builder } from "./builder.ts";
import { Containers } from "./containers.ts";
import { ContainerFiles } from "./files.ts";
import { Images } from "./images.ts";
import { Networks } from "./networks.ts";
import { Registries } from "./registries.ts";
import { System } from "./system.ts";
import { Templates } from "./templates.ts";
import { Transport } from "./transport.ts";
import { Volumes } from "./volumes.ts";

export { ApiError, ConnectionError, ProtocolError } from "./api-error.ts";
export type { Box, ExecOptions, ExecResult, RunOptions } from "./box.ts";
export type { Builder, BuildOptions } from "./builder.ts";
export type {
  AttachOptions,
  Containers,
  ExecState,
  ExitResult,
  ListOptions,
  LogsOptions,
  PendingExit,
  TerminalSize,
} from "./containers.ts";
export type { CommitOptions, ContainerFiles, FileArchive } from "./files.ts";
export type { Filters } from "./filters.ts";
export type { Images, ImportOptions, PullOptions, PushOptions, Source } from "./images.ts";
export type { Networks } from "./networks.ts";
export { splitReference } from "./reference.ts";
export type { Registries } from "./registries.ts";
export { encodeFrame, type OutputChunk, StreamError } from "./stdcopy.ts";
export type { StandardStreams } from "./streams.ts";
export type { EventsOptions, System } from "./system.ts";
export type { Templates } from "./templates.ts";
export type { Volumes } from "./volumes.ts";

export interface ConnectOptions {
  /** Path of the daemon's unix socket. */
  readonly socket?: string | undefined;
}

export interface Hull extends Disposable {
  readonly socket: string;
  readonly containers: Containers;
  readonly files: ContainerFiles;
  readonly images: Images;
  readonly builder: Builder;
  readonly registries: Registries;
  readonly system: System;
  readonly networks: Networks;
  readonly templates: Templates;
  readonly volumes: Volumes;
  /** Makes and starts a workload; when starting fails, nothing of it is left. */
  run(options: RunOptions): Promise<Box>;
  /** Connects, so that a daemon that is not there shows before the first request; the connection is used for it. */
  open(): Promise<void>;
  /** Closes idle connections. */
  close(): void;
}

/** Nothing is connected to yet: each request connects when it is made. */
export function connect(options: ConnectOptions = {}): Hull {
  const socket = options.socket ?? defaults.socket;
  const transport = new Transport(socket, apiVersion);
  const unversioned = new Transport(socket, "");
  const containers = new Containers(transport, unversioned);
  const close = () => {
    transport.close();
    unversioned.close();
  };
  return {
    socket,
    containers,
    files: new ContainerFiles(transport),
    images: new Images(transport, unversioned),
    builder: new Builder(transport),
    registries: new Registries(transport),
    system: new System(transport, unversioned),
    networks: new Networks(transport),
    templates: new Templates(unversioned),
    volumes: new Volumes(transport),
    run: (request) => run(containers, request),
    open: () => transport.open(),
    close,
    [Symbol.dispose]: close,
  };
}

async function run(containers: Containers, options: RunOptions): Promise<Box> {
  const { name, platform } = options;
  const created = await containers.create(createRequestOf(options), { name, platform });
  const box = new Box(containers, created.Id, created.Warnings, options.terminal ?? false);
  try {
    await containers.start(box.id);
  } catch (error) {
    await box.remove().catch(() => undefined);
    throw error;
  }
  return box;
}
