/** The agent's own code as a program for the host, with sanitizers: guest/test/harness.c has the rest of the guest. */
import { globSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../src/host/spawn.ts";

const guest = join(import.meta.dir, "../../guest");
const flags =
  "-std=gnu2x -D_GNU_SOURCE -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined".split(" ");

/** What only works in a guest, or what the harness has of its own. */
const left = new Set(
  "boot cards cgroup disks first identity main mounts port rehearse shares workload"
    .split(" ")
    .map((name) => `${guest}/agent/${name}.c`),
);

/** Throws what the compiler says. */
export async function buildAgentHarness(program: string): Promise<void> {
  const sources = globSync(`${guest}/agent/*.c`).filter((path) => !left.has(path));
  const { code, stderr } = await run(["cc", ...flags, "-o", program, `${guest}/test/harness.c`, ...sources]);
  if (code !== 0 || stderr !== "") throw new Error(`the agent's harness was not built: ${stderr}`);
}
