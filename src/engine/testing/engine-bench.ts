/** An engine on fakes in a directory of its own, that can crash and come back. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../contract/logger.ts";
import { defaultNetworkRequest } from "../../network/records/default-request.ts";
import { openVolumeStore, type VolumeStore } from "../../volume/volume-store.ts";
import { directoryFiles } from "../../wall/files/host-files.ts";
import { type Engine, openEngine } from "../engine.ts";
import { type Failpoint, noFailpoint } from "../failpoint.ts";
import type { RunRequest } from "../request.ts";
import { noRestart } from "../restart.ts";
import { FakeImages, noBuilds } from "./fake-images.ts";
import { FakeNetworks } from "./fake-networks.ts";
import { FakeWall, FakeWorld } from "./fake-wall.ts";

export const plainRequest: RunRequest = {
  name: undefined,
  image: "some/image",
  wall: "container",
  isolation: "",
  entrypoint: undefined,
  command: undefined,
  env: [],
  workingDirectory: "",
  user: "",
  hostname: "",
  labels: {},
  exposedPorts: [],
  terminal: false,
  stdin: false,
  stdinOnce: false,
  attached: { stdin: false, stdout: true, stderr: true },
  size: undefined,
  readOnlyRoot: false,
  memoryBytes: 0,
  nanoCpus: 0,
  pidsLimit: 0,
  storageBytes: 0,
  capAdd: [],
  capDrop: [],
  stopSignal: "",
  stopTimeout: undefined,
  restart: noRestart,
  autoRemove: false,
  mounts: [],
  volumesFrom: [],
  ofBuild: false,
  network: defaultNetworkRequest,
  links: [],
};

export function requestOf(command: string, changes: Partial<RunRequest> = {}): RunRequest {
  return { ...plainRequest, command: command.split(" "), ...changes };
}

export class EngineBench implements AsyncDisposable {
  readonly directory: string;
  readonly world: FakeWorld;
  readonly images: FakeImages;
  readonly walls: { readonly container: FakeWall; readonly vm: FakeWall };
  networks: FakeNetworks;
  engine: Engine;
  volumes: VolumeStore;

  private constructor(
    parts: Pick<EngineBench, "directory" | "world" | "images" | "walls" | "networks" | "engine" | "volumes">,
  ) {
    this.directory = parts.directory;
    this.world = parts.world;
    this.images = parts.images;
    this.walls = parts.walls;
    this.networks = parts.networks;
    this.engine = parts.engine;
    this.volumes = parts.volumes;
  }

  static async open(failpoint: Failpoint = noFailpoint): Promise<EngineBench> {
    const directory = await mkdtemp(join(tmpdir(), "engine-"));
    const world = new FakeWorld();
    const images = new FakeImages();
    const walls = { container: new FakeWall("container", world), vm: new FakeWall("vm", world) };
    const { root } = placesOf(directory);
    await mkdir(root, { recursive: true });
    const volumes = await openVolumeStore(root);
    const networks = new FakeNetworks();
    const engine = await openEngine({
      ...placesOf(directory),
      volumes,
      filesOf,
      images,
      builds: noBuilds,
      walls,
      networks,
      log: silentLogger,
      failpoint,
    });
    return new EngineBench({ directory, engine, volumes, walls, networks, world, images });
  }

  get root(): string {
    return placesOf(this.directory).root;
  }

  get state(): string {
    return placesOf(this.directory).state;
  }

  /** The daemon goes, as by a crash, and another one comes: records and sandboxes stay, memory does not. */
  async comeBack(): Promise<void> {
    await this.engine[Symbol.asyncDispose]();
    this.volumes[Symbol.dispose]();
    this.volumes = await openVolumeStore(this.root);
    this.images.leases = 0;
    this.networks = new FakeNetworks();
    const { images, walls, networks, volumes } = this;
    this.engine = await openEngine({
      ...placesOf(this.directory),
      volumes,
      filesOf,
      images,
      builds: noBuilds,
      walls,
      networks,
      log: silentLogger,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine[Symbol.asyncDispose]();
    this.volumes[Symbol.dispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}

const filesOf = (directory: string) =>
  directoryFiles(join(import.meta.dir, "../../../.cache/guest/hull-files"), directory);

function placesOf(directory: string): { root: string; state: string } {
  return { root: join(directory, "root"), state: join(directory, "state") };
}
