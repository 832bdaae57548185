import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VmPrograms } from "../programs.ts";
import { FileSums, type MachineSize, type PartSums, placesFor, templateKey } from "./key.ts";

const size: MachineSize = { memoryBytes: 128 * 1024 * 1024, processors: 1, layerPlaces: 6 };
const parts: PartSums = { kernel: "k", initramfs: "i", qemu: "q" };
const tcg = { acceleration: "tcg", why: "", kvm: undefined } as const;

test("everything that decides what a machine looks like decides its template", () => {
  const keys = [
    templateKey(size, parts, tcg),
    templateKey({ ...size, memoryBytes: 129 * 1024 * 1024 }, parts, tcg),
    templateKey({ ...size, processors: 2 }, parts, tcg),
    templateKey({ ...size, layerPlaces: 14 }, parts, tcg),
    templateKey(size, { ...parts, kernel: "other" }, tcg),
    templateKey(size, { ...parts, initramfs: "other" }, tcg),
    templateKey(size, { ...parts, qemu: "other" }, tcg),
    templateKey(size, parts, { acceleration: "kvm", why: "", kvm: { major: 10, minor: 232 } }),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(templateKey(size, parts, tcg)).toBe(keys[0] ?? "");
  for (const key of keys) expect(key).toMatch(/^[0-9a-f]{64}$/);
});

test("an image finds the fewest places that are enough for its layers", () => {
  expect([1, 3, 4, 6, 7, 14, 15, 30, 31, 62, 63].map(placesFor)).toEqual([
    ...[3, 3, 6, 6, 14, 14, 30, 30, 62, 62],
    undefined,
  ]);
});

test("a part that was replaced has another sum", async () => {
  const directory = mkdtempSync(join(tmpdir(), "key-"));
  try {
    const [kernel, initramfs, qemu] = ["kernel", "initramfs", "qemu"].map((name) => join(directory, name));
    if (kernel === undefined || initramfs === undefined || qemu === undefined) throw new Error("no names");
    for (const path of [kernel, initramfs, qemu]) writeFileSync(path, path);
    const programs: VmPrograms = {
      kernel,
      initramfs,
      qemu,
      discard: "",
      freeze: "",
      thaw: "",
      runtime: "",
      conmon: "",
    };
    const sums = new FileSums();
    const before = await sums.of(programs);
    expect(await sums.of(programs)).toEqual(before);
    writeFileSync(kernel, "another");
    utimesSync(kernel, 1, 1);
    const after = await sums.of(programs);
    expect(after).toEqual({ ...before, kernel: after.kernel });
    expect(after.kernel).not.toBe(before.kernel);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
