/**
 * The daemon: wires image store, walls, engine and API together, listens, and shuts down in order. Workloads go
 * on without it.
 */
import { rmSync } from "node:fs";
import type { Server } from "node:http";
import { dockerRoutes } from "../api/docker/routes.ts";
import { commonHeaders } from "../api/docker/system.ts";
import { hullRoutes } from "../api/hull/routes.ts";
import { createApiServer } from "../api/server.ts";
import { defaults } from "../contract/defaults.ts";
import { messageOf } from "../contract/errors.ts";
import type { Logger } from "../contract/logger.ts";
import { openEngine } from "../engine/engine.ts";
import { parseFailpoint } from "../engine/failpoint.ts";
import { notifyServiceManager } from "../host/notify.ts";
import { openImageStore } from "../image/store.ts";
import { NetworkRoom } from "../network/room.ts";
import { openVolumeStore } from "../volume/volume-store.ts";
import { directoryFiles } from "../wall/files/host-files.ts";
import type { Config } from "./config.ts";
import { doctorOptions } from "./doctor.ts";
import { installationId, version } from "./identity.ts";
import { claimDirectory, claimSocket, protectSocket } from "./places.ts";
import { useRegistries } from "./registries.ts";
import { tidyAtRest } from "./rest.ts";
import { createWalls, filesProgram } from "./walls.ts";

/** Runs until it is told to end (SIGTERM, SIGINT). */
export async function serve(config: Config, log: Logger): Promise<void> {
  const ending = Promise.withResolvers<string>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => ending.resolve(signal));

  // Undone in reverse: stop answering, let go of the workloads, then of the walls, the images and the locks.
  await using resources = new AsyncDisposableStack();
  resources.use(claimDirectory(config.root));
  resources.use(claimDirectory(config.state));
  await claimSocket(config.socket);
  const { root, state } = config;
  // First here and last to go: workloads that run ask for names all the time.
  const networks = resources.use(new NetworkRoom({ root, log, ...networkOptions(config) }));
  await networks.answerAgain();
  const failpoint = parseFailpoint(process.env.HULL_FAILPOINT);
  const registries = useRegistries(config.registries);
  const images = await openImageStore(config.root, registries);
  resources.defer(() => images.close());
  const volumes = resources.use(await openVolumeStore(config.root));
  const walls = createWalls(config, log, failpoint);
  resources.defer(async () => {
    await Promise.all(Object.values(walls).map((wall) => wall.close()));
  });
  images.whenLayersGo((paths) => walls.vm.forgetLayers(paths));
  await walls.vm.cleanUp();
  const { builds } = images;
  const engine = resources.use(
    await openEngine({
      ...{ root, state, images, builds, volumes, walls, networks, log, failpoint },
      filesOf: (directory) => directoryFiles(filesProgram(config), directory),
    }),
  );

  const facts = { version, id: installationId(config.root), registries };
  const server = createApiServer({
    routes: [
      ...dockerRoutes(engine, facts),
      ...hullRoutes(engine, doctorOptions(config, walls, networks), walls.vm.templates),
    ],
    headers: commonHeaders(facts),
    log,
  });
  tidyAtRest(server);
  await listen(server, config.socket);
  resources.defer(() => closeServer(server, config.socket));
  protectSocket(config.socket, config.socketGroup);
  announce(config, log);
  void walls.vm.fillPool();
  const signal = await ending.promise;
  log.info("the daemon ends; workloads go on", { signal });
}

function networkOptions({ root, network }: Config) {
  // Another daemon on the same host has another bridge.
  const defaultBridge = network.bridge ?? (root === defaults.root ? "hull0" : undefined);
  return {
    ...(defaultBridge === undefined ? {} : { defaultBridge }),
    ...(network.pools.length === 0 ? {} : { pools: network.pools }),
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** Stops listening and cuts the connections that are open; their clients see the daemon go. */
function closeServer(server: Server, path: string): void {
  server.close();
  server.closeAllConnections();
  rmSync(path, { force: true });
}

function announce(config: Config, log: Logger): void {
  process.stderr.write(`hull daemon ready on ${config.socket}\n`);
  const supervisor = process.env.NOTIFY_SOCKET;
  if (supervisor === undefined || supervisor === "") return;
  try {
    notifyServiceManager(supervisor, "READY=1");
  } catch (error) {
    log.warn("could not tell the service manager", { why: messageOf(error) });
  }
}
