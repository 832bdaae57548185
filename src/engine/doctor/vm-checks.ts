/** What the vm wall needs: a guest, and KVM that really runs one. */
import { existsSync, readdirSync } from "node:fs";
import type { DoctorCheck } from "../../contract/docker.ts";
import type { Wall } from "../../wall/wall.ts";

export function guestCheck(directory: string): Promise<DoctorCheck> {
  const files = existsSync(directory) ? readdirSync(directory) : [];
  const kernel = files.some((file) => /^(vmlinuz|bzImage|Image|kernel)/.test(file));
  return Promise.resolve({
    name: "guest kernel",
    status: kernel ? "ok" : "warning",
    found: kernel ? directory : `none in ${directory}`,
    meaning: "virtual machines boot it, with Hull's agent as their first program",
    remedy: kernel ? "" : "./setup",
  });
}

/** The vm wall finds out by running a guest with a time limit; a device alone says little. */
export async function kvmCheck(wall: Wall): Promise<DoctorCheck> {
  const name = "KVM";
  const device = existsSync("/dev/kvm");
  const features = await wall.features();
  if (features.unavailable === undefined && features.label === "vm")
    return {
      name,
      status: "ok",
      found: "it runs a guest",
      meaning: "the vm wall is a security boundary",
      remedy: "",
    };
  return {
    name,
    status: "warning",
    found: device ? "there is /dev/kvm, but it runs no guest" : "no /dev/kvm",
    meaning:
      "virtual machines are emulated (TCG): slower, and a compatibility mode instead of a security boundary",
    remedy: device ? "" : "modprobe kvm_intel || modprobe kvm_amd",
  };
}

export async function wallCheck(name: string, wall: Wall): Promise<DoctorCheck> {
  const { label, unavailable, warning } = await wall.features();
  if (unavailable !== undefined)
    return {
      name,
      status: wall.kind === "container" ? "missing" : "warning",
      found: "cannot be used",
      meaning: unavailable,
      remedy: /`([^`]+)`/.exec(unavailable)?.[1] ?? "",
    };
  return {
    name,
    status: "ok",
    found: label,
    meaning: warning ?? "workloads can be run behind it",
    remedy: "",
  };
}
