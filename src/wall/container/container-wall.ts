/**
 * The container wall: a workload is a process of the host's kernel, with namespaces, a control group and a
 * filter around it. See ../oci/runtime.ts for who runs and watches it.
 *
 * A sandbox's files: `upper` and `work` (the writable layer) in its directory, which outlive it; the bundle in
 * its runtime directory. The root file system is mounted for the time of `create` only: the container has its
 * own copy of the mount.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { release } from "node:os";
import { HullError } from "../../contract/errors.ts";
import { canLimitSwap } from "../../host/cgroup.ts";
import { unmount } from "../../host/mount.ts";
import { errnoNameOf, explainWriteError } from "../../host/system-error.ts";
import { hostsFile, resolverFile } from "../network-files.ts";
import { cgroupParent, removeIdleCgroupParent } from "../oci/cgroup-parent.ts";
import type { OciSeccomp } from "../oci/config.ts";
import { type ContainerOptions, type OciContainer, OciRuntime } from "../oci/runtime.ts";
import type { OpenFiles, Sandbox, SandboxMount, SandboxSpec, Wall, WallFeatures } from "../wall.ts";
import { type FilesParts, openFiles } from "./files.ts";
import { type LayerLease, LayerMounts } from "./layer-mounts.ts";
import { containerConfig } from "./oci-config.ts";
import { mountOverlay } from "./overlay.ts";
import { checkProgramWithoutMounts } from "./program.ts";
import { ContainerSandbox } from "./sandbox.ts";
import { parseSeccompProfile, type SeccompProfile, seccompFor } from "./seccomp.ts";
import { openLayerDirectory, sizedLayerName } from "./sized-layer.ts";
import { resolveUserInRoot } from "./user.ts";
import { makeWorkingDirectory } from "./working-directory.ts";

export interface ContainerWallOptions {
  /** Gone after a reboot; this process must see the mounts it makes there. */
  readonly stateDirectory: string;
  /** The OCI runtime and conmon: names looked up in PATH, or paths. */
  readonly runtime: string;
  readonly conmon: string;
  /** File in the format of Docker and containers-common; empty: no filter. */
  readonly seccompProfile: string;
  /** The program hull-files, which guest/build.sh makes. */
  readonly filesProgram: string;
}

export function createContainerWall(options: ContainerWallOptions): Wall {
  return new ContainerWall(options);
}

class ContainerWall implements Wall {
  readonly kind = "container";
  readonly layerNames = ["upper", "work", "empty", sizedLayerName];
  readonly #options: ContainerWallOptions;
  readonly #layers: LayerMounts;
  readonly #filters = new Map<string, OciSeccomp>();
  #runtime: OciRuntime | undefined;
  #profile: Promise<SeccompProfile> | undefined;

  constructor(options: ContainerWallOptions) {
    this.#options = options;
    this.#layers = new LayerMounts(`${options.stateDirectory}/layers`);
  }

  features(): Promise<WallFeatures> {
    const missing = [this.#options.conmon, this.#options.runtime].find(
      (program) => Bun.which(program) === null,
    );
    return Promise.resolve({
      label: "container",
      sharesKernel: true,
      ...(missing === undefined ? {} : { unavailable: `${missing} is not installed: run ${installCommand}` }),
    });
  }

  async create(spec: SandboxSpec): Promise<Sandbox> {
    const runtime = this.#programs();
    runtime.expect();
    await using undo = new AsyncDisposableStack();
    const options = containerOptions(spec);
    undo.defer(() => runtime.delete(options));
    const lease = undo.use(await this.#layers.lease(spec.layers));
    writeNetworkFiles(spec);
    const sandbox = await this.#createIn(runtime, spec, options, lease);
    undo.move();
    return sandbox;
  }

  recover(spec: SandboxSpec): Promise<Sandbox | undefined> {
    if (!existsSync(spec.runtimeDirectory)) return Promise.resolve(undefined);
    const runtime = this.#programs();
    const options = containerOptions(spec);
    const container = runtime.recover(options);
    return Promise.resolve(
      new ContainerSandbox({
        ...this.#filesParts(spec),
        runtime,
        options,
        container,
        startError: undefined,
        lease: undefined,
      }),
    );
  }

  openFiles(spec: SandboxSpec): Promise<OpenFiles> {
    return openFiles(this.#filesParts(spec));
  }

  close(): Promise<void> {
    this.#layers.close();
    removeIdleCgroupParent();
    return Promise.resolve();
  }

  /** Makes the container on a root file system that is mounted here only until the container has its own. */
  async #createIn(
    runtime: OciRuntime,
    spec: SandboxSpec,
    options: ContainerOptions,
    lease: LayerLease,
  ): Promise<Sandbox> {
    const rootPath = `${spec.runtimeDirectory}/rootfs`;
    const seccomp = await this.#seccomp(spec.process.capabilities);
    using mounted = new DisposableStack();
    // The container's own mount keeps it.
    const layer = mounted.use(await openLayerDirectory(spec));
    mountOverlay(lease, layer.path, rootPath);
    mounted.defer(() => unmount(rootPath));
    const parts = { ...this.#filesParts(spec), runtime, options, lease };
    let container: OciContainer;
    try {
      const user = resolveUserInRoot(rootPath, spec.process.user);
      makeWorkingDirectory(rootPath, spec.process.cwd);
      checkProgramWithoutMounts(rootPath, spec);
      const facts = {
        user,
        rootPath,
        files: await filesAmong(spec.mounts ?? []),
        cgroup: options.cgroup,
        seccomp,
        canLimitSwap: canLimitSwap(runtime.cgroups),
      };
      container = await runtime.create(containerConfig(spec, facts), options);
    } catch (error) {
      if (!(error instanceof HullError) || !isStartError(error)) throw error;
      // What is wrong with the command is for `start` to say.
      return new ContainerSandbox({ ...parts, container: undefined, startError: error });
    }
    return new ContainerSandbox({ ...parts, container, startError: undefined });
  }

  #filesParts(spec: SandboxSpec): FilesParts {
    return { spec, program: this.#options.filesProgram, layers: this.#layers };
  }

  #programs(): OciRuntime {
    if (this.#runtime !== undefined) return this.#runtime;
    const [runtime, conmon] = [this.#options.runtime, this.#options.conmon].map((program) => {
      const path = Bun.which(program);
      if (path !== null) return path;
      throw new HullError("hostMissing", { what: `the program ${program}`, remedy: `run ${installCommand}` });
    });
    this.#runtime = new OciRuntime({
      runtime: runtime ?? "",
      conmon: conmon ?? "",
      runtimeRoot: `${this.#options.stateDirectory}/oci`,
    });
    return this.#runtime;
  }

  async #seccomp(capabilities: readonly string[]): Promise<OciSeccomp | undefined> {
    const path = this.#options.seccompProfile;
    if (path === "") return undefined;
    const key = [...capabilities].sort().join(" ");
    const known = this.#filters.get(key);
    if (known !== undefined) return known;
    this.#profile ??= readProfile(path);
    const facts = { capabilities, architecture: architecture(), kernel: release() };
    const filter = seccompFor(await this.#profile, facts);
    this.#filters.set(key, filter);
    return filter;
  }
}

const installCommand = "`apt-get install crun conmon` (or your distribution's like)";

function containerOptions(spec: SandboxSpec): ContainerOptions {
  return {
    id: spec.id,
    name: spec.name,
    wall: "container",
    bundle: spec.runtimeDirectory,
    cgroup: `${cgroupParent}/${spec.id}`,
    logPath: spec.logPath,
    terminal: spec.process.terminal,
    stdin: spec.process.stdin,
    stdinOnce: spec.process.stdinOnce,
    user: spec.process.user,
  };
}

/** Sources of binds that are no directories. */
async function filesAmong(mounts: readonly SandboxMount[]): Promise<ReadonlySet<string>> {
  const files = new Set<string>();
  for (const { type, source } of mounts)
    if (type === "bind" && !(await stat(source)).isDirectory()) files.add(source);
  return files;
}

function isStartError(error: HullError): boolean {
  return ["commandNotFound", "commandNotExecutable", "workingDirectoryInvalid", "noSuchUser"].includes(
    error.code,
  );
}

function writeNetworkFiles(spec: SandboxSpec): void {
  const directory = spec.runtimeDirectory;
  const write = (name: string, content: string): void =>
    writeFileSync(`${directory}/${name}`, content, { mode: 0o644 });
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    write("hostname", `${spec.hostname}\n`);
    write("hosts", spec.network?.hosts ?? hostsFile(spec.hostname));
    write("resolv.conf", spec.network?.resolver ?? resolverFile(readHostResolver()));
  } catch (error) {
    throw explainWriteError(error, "the container's files", directory);
  }
}

function readHostResolver(): string {
  try {
    return readFileSync("/etc/resolv.conf", "utf8");
  } catch (error) {
    if (errnoNameOf(error) === "ENOENT") return "";
    throw error;
  }
}

async function readProfile(path: string): Promise<SeccompProfile> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new HullError(
      "hostMissing",
      {
        what: `the seccomp profile ${path}`,
        remedy: "install the package golang-github-containers-common, or set another profile",
      },
      { cause: error },
    );
  }
  return parseSeccompProfile(text, path);
}

function architecture(): "x64" | "arm64" {
  if (process.arch === "x64" || process.arch === "arm64") return process.arch;
  throw new HullError("unsupported", {
    what: `the architecture ${process.arch}`,
    where: "",
    why: "use x64 or arm64",
  });
}
