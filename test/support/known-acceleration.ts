/**
 * What an earlier test found out about KVM on this host. A host whose KVM hangs every guest has each new state
 * directory wait ten seconds for the same answer, which has the boot's id in it and is of no use after the next.
 */
import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";

const known = join(import.meta.dir, "../../.cache/test-kvm.json");
const name = "kvm.json";

/** To be called before the state directory's first use. */
export function lendAcceleration(state: string): void {
  if (!existsSync(known)) return;
  mkdirSync(state, { recursive: true, mode: 0o700 });
  copyFileSync(known, join(state, name));
}

export function keepAcceleration(state: string): void {
  const found = join(state, name);
  if (!existsSync(found) || existsSync(known)) return;
  const draft = `${known}.${process.pid}`;
  copyFileSync(found, draft);
  renameSync(draft, known);
}
