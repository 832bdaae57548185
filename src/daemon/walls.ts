/** Both walls, made from the configuration. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { WallKind } from "../contract/isolation.ts";
import type { Logger } from "../contract/logger.ts";
import { runtimeDirectory, workloadDirectory } from "../engine/plan.ts";
import { createContainerWall } from "../wall/container/container-wall.ts";
import { createVmWall, type VmWall } from "../wall/vm/vm-wall.ts";
import type { Wall } from "../wall/wall.ts";
import type { Config } from "./config.ts";
import { writeRehearsalLayer } from "./rehearsal-layer.ts";

/** `step` is called after each step of the walls that tests may want to end the daemon at. */
export function createWalls(
  config: Config,
  log: Logger,
  step?: (name: string) => void,
): Record<WallKind, Wall> & { readonly vm: VmWall } {
  const { container, vm } = config;
  return {
    container: createContainerWall({
      stateDirectory: config.state,
      runtime: container.runtime,
      conmon: container.conmon,
      seccompProfile: container.seccompProfile,
      filesProgram: filesProgram(config),
    }),
    vm: createVmWall({
      stateDirectory: config.state,
      templateDirectory: `${config.root}/templates`,
      templates: vm.templates,
      log,
      guestDirectory: guestDirectory(vm.guest),
      requireKvm: vm.requireKvm,
      runtime: container.runtime,
      conmon: container.conmon,
      qemu: vm.qemu,
      writeRehearsalLayer: (path) => writeRehearsalLayer(filesProgram(config), path),
      pool: {
        size: vm.pool,
        places: (id) => ({
          directory: workloadDirectory(config.root, id),
          runtimeDirectory: runtimeDirectory(config.state, id),
        }),
      },
      ...(step === undefined ? {} : { step }),
    }),
  };
}

/** What reads and writes files on the host for the daemon (guest/host). */
export function filesProgram({ vm }: Config): string {
  return join(guestDirectory(vm.guest), "hull-files");
}

/** Where the guest's kernel and initramfs are: configured, beside the program, in the checkout, or installed. */
export function guestDirectory(configured: string): string {
  if (configured !== "") return configured;
  const installed = "/usr/local/lib/hull/guest";
  const candidates = [
    join(import.meta.dir, "../../.cache/guest"),
    join(dirname(process.execPath), "../.cache/guest"),
    installed,
  ];
  return candidates.find((candidate) => existsSync(candidate)) ?? installed;
}
