/** Who this daemon is: its version, and a name that stays the same for a root directory. */
import { readFileSync, writeFileSync } from "node:fs";
import packageFile from "../../package.json" with { type: "json" };

export const version: string = packageFile.version;

/** The id of the installation in `root`, made at its first start. */
export function installationId(root: string): string {
  const path = `${root}/id`;
  try {
    const id = readFileSync(path, "utf8").trim();
    if (/^[0-9a-f-]{36}$/.test(id)) return id;
  } catch {
    // There is none yet.
  }
  const id = crypto.randomUUID();
  writeFileSync(path, `${id}\n`, { mode: 0o600 });
  return id;
}
