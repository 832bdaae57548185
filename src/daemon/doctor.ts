/** What the configuration says of the things that the doctor looks at. */
import type { WallKind } from "../contract/isolation.ts";
import type { DoctorOptions } from "../engine/doctor/doctor.ts";
import type { NetworkRoom } from "../network/room.ts";
import type { Wall } from "../wall/wall.ts";
import type { Config } from "./config.ts";
import { guestDirectory } from "./walls.ts";

export function doctorOptions(
  config: Config,
  walls: Readonly<Record<WallKind, Wall>>,
  networks: Pick<NetworkRoom, "unavailable">,
): DoctorOptions {
  const { container, vm } = config;
  return {
    runtime: container.runtime,
    conmon: container.conmon,
    qemu: vm.qemu,
    seccompProfile: container.seccompProfile,
    guestDirectory: guestDirectory(vm.guest),
    walls,
    networksUnavailable: () => networks.unavailable(),
  };
}
