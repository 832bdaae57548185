/** Makes the container that QEMU runs in, up to QEMU's start. */
import { closeSync } from "node:fs";
import { listenOn } from "../../host/unix-socket.ts";
import type { OciConfig } from "../oci/config.ts";
import type { ContainerOptions, OciContainer, OciRuntime } from "../oci/runtime.ts";
import type { VmLayout } from "./layout.ts";

/**
 * QEMU is handed its sockets as they listen: it finds no directory that it could make anything in, and whoever
 * connects need not wait until it is there. `more` are its further descriptors (layout.ts), which stay the caller's.
 * `meanwhile` is done while the runtime works, and before QEMU can start.
 */
export async function createJail(
  runtime: OciRuntime,
  config: OciConfig,
  layout: VmLayout,
  options: ContainerOptions,
  more: readonly number[],
  meanwhile: () => void = () => undefined,
): Promise<OciContainer> {
  const listeners: number[] = [];
  try {
    for (const path of [layout.agentSocket, layout.monitorSocket]) listeners.push(listenOn(path));
    const making = runtime.create(config, { ...options, preserveDescriptors: [...listeners, ...more] });
    try {
      meanwhile();
    } catch (error) {
      await making.catch(() => undefined);
      throw error;
    }
    return await making;
  } finally {
    for (const listener of listeners) closeSync(listener);
  }
}
