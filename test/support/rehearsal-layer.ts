/** The layer that machines rehearse with, as the daemon has it written. `guest`: what guest/build.sh made. */
import { writeRehearsalLayer } from "../../src/daemon/rehearsal-layer.ts";

export function rehearsalLayerWriter(guest: string): (path: string) => Promise<void> {
  return (path) => writeRehearsalLayer(`${guest}/hull-files`, path);
}
