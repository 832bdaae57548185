/** The program `frames` (guest/test/frames.c), in a directory of its own that workloads can be given. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../src/host/spawn.ts";
import { projectRoot, type TestDaemon } from "./daemon.ts";

/** Returns the flags that give a workload `/tools/frames`. */
export async function framesProgram(daemon: TestDaemon): Promise<string[]> {
  const directory = join(daemon.directory, "tools");
  await mkdir(directory);
  const flags = ["-std=gnu2x", "-D_GNU_SOURCE", "-static", "-O1", "-Wall", "-Wextra", "-Werror"];
  const source = join(projectRoot, "guest/test/frames.c");
  const { code, stderr } = await run(["cc", ...flags, "-o", join(directory, "frames"), source]);
  if (code !== 0) throw new Error(stderr);
  return ["-v", `${directory}:/tools:ro`];
}
