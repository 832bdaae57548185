/** Giving up the saved state of a workload (`suspendedPlace`). */
import { open, rename, rm } from "node:fs/promises";
import { errnoNameOf } from "../host/system-error.ts";
import { suspendedPlace } from "./wall.ts";

/** At once: while something has the place's name, it is a whole state. It may be gone already. */
export async function removeSuspended(directory: string): Promise<void> {
  const place = suspendedPlace(directory);
  const gone = `${place}.used`;
  await rm(gone, { recursive: true, force: true });
  try {
    await rename(place, gone);
  } catch (error) {
    if (errnoNameOf(error) !== "ENOENT") throw error;
  }
  await using parent = await open(directory, "r");
  await parent.sync();
  await rm(gone, { recursive: true, force: true });
}

/** What a removal, or the writing of a state, left that was cut short. */
export async function removeRests(directory: string): Promise<void> {
  for (const end of ["draft", "used"])
    await rm(`${suspendedPlace(directory)}.${end}`, { recursive: true, force: true });
}
