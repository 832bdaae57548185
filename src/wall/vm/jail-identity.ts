/**
 * Who QEMU is on the host: ids of each machine's own, far from those that a system hands out, so that one QEMU can
 * touch nothing of another's.
 */
import type { SandboxMount, SandboxSpec } from "../wall.ts";

/** Ids of a user name space: what a guest may give its files on a volume to. */
export const idsOfNamespace = 65_536;

const firstUser = 0x70000000;
const firstNamespace = 0x40000000;
const namespaces = (firstUser - firstNamespace) / idsOfNamespace;

type Identified = Pick<SandboxSpec, "id" | "mounts">;

/** The host's directories and files that the machine is given. */
export function sharesOf({ mounts = [] }: Pick<SandboxSpec, "mounts">): SandboxMount[] {
  return mounts.filter(({ type }) => type === "bind");
}

/**
 * With shares, QEMU has to give files away that a guest makes: it is root of a user name space, with rights over
 * what is mapped into that and over nothing else.
 */
export function hasUserNamespace(spec: Pick<SandboxSpec, "mounts">): boolean {
  return sharesOf(spec).length > 0;
}

/** The user that QEMU is to the host; of a user name space, the first of its ids. */
export function jailUser(spec: Identified): number {
  const number = Number.parseInt(spec.id.slice(0, 7), 16);
  if (!hasUserNamespace(spec)) return firstUser + number;
  return firstNamespace + (number % namespaces) * idsOfNamespace;
}
