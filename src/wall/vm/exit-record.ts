/** How a workload ended, written down for later daemons. */
import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import * as v from "valibot";
import { errnoNameOf } from "../../host/system-error.ts";
import type { ExitStatus } from "../wall.ts";

const schema = v.object({ code: v.number(), oomKilled: v.boolean(), finishedAt: v.number() });

/** Says whether it could be written: if not, the agent remains the only one who knows. */
export async function writeExit(path: string, status: ExitStatus): Promise<boolean> {
  try {
    await writeFile(`${path}.draft`, JSON.stringify(status), { mode: 0o600 });
    await rename(`${path}.draft`, path);
    return true;
  } catch {
    return false;
  }
}

export function readExit(path: string): ExitStatus | undefined {
  try {
    return v.parse(schema, JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    if (errnoNameOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
