/** Saved machines against what may be wrong: a full disk, damage, other parts, and machines of no template. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lendAcceleration } from "../../../../test/support/known-acceleration.ts";
import { makeTinyLayer, type TinyLayer } from "../../../../test/support/tiny-layer.ts";
import { vmSpec, vmWallOptions } from "../../../../test/support/vm-wall.ts";
import { mount, unmount } from "../../../host/mount.ts";
import { collect, execSpec } from "../../conformance/bench.ts";
import { type Sandbox, type SandboxSpec, suspendedPlace } from "../../wall.ts";
import { writableFile } from "../arguments.ts";
import { addDiskFile, diskBytes } from "../disk.ts";
import { jailUser } from "../jail-identity.ts";
import { jailed, layoutOf } from "../layout.ts";
import { qmp } from "../qmp.ts";
import { createVmWall, type VmWall } from "../vm-wall.ts";

const patience = 240_000;
const directory = mkdtempSync(join(tmpdir(), "saved-"));
let layer: TinyLayer;
let wall: VmWall;

function makeWall(templates = true): VmWall {
  return createVmWall(vmWallOptions(directory, { templates }));
}

beforeAll(async () => {
  lendAcceleration(directory);
  layer = await makeTinyLayer();
  wall = makeWall();
});
afterAll(async () => {
  await wall.close();
  await layer[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

function specOf(): SandboxSpec {
  return vmSpec({ directory, layers: [layer.path] }, "echo $$ > /mine; sleep 1000");
}

async function started(on: VmWall, spec: SandboxSpec): Promise<Sandbox & AsyncDisposable> {
  const sandbox = await on.create(spec);
  await sandbox.start();
  return Object.assign(sandbox, { [Symbol.asyncDispose]: () => sandbox.remove() });
}

async function inside(sandbox: Sandbox, script: string): Promise<string> {
  const { attachment } = await sandbox.exec(execSpec(script, {}));
  if (attachment === undefined) throw new Error("an attached exec has no attachment");
  return (await collect(attachment)).stdout.toString().trim();
}

test(
  "a full disk is named, nothing is left on it, and the workload runs on",
  async () => {
    const spec = specOf();
    mount({ source: "tmpfs", target: spec.directory, type: "tmpfs", data: "size=32m" });
    try {
      await using sandbox = await started(wall, spec);
      await expect(sandbox.suspend?.() ?? Promise.resolve()).rejects.toMatchObject({ code: "noSpace" });
      expect(readdirSync(spec.directory).sort()).toEqual(["disks", "log"]);
      expect(await inside(sandbox, "echo fine")).toBe("fine");
    } finally {
      unmount(spec.directory);
    }
  },
  patience,
);

test(
  "a state that is damaged, of another workload or of another QEMU is refused, and is still there when it is mended",
  async () => {
    const spec = specOf();
    await using first = await started(wall, spec);
    await inside(first, "echo in memory > /dev/shm/mark");
    await first.suspend?.();
    const refused = async (why: string): Promise<void> => {
      await expect(wall.revive(spec)).rejects.toThrow(why);
      expect(existsSync(spec.runtimeDirectory)).toBe(false);
    };
    const place = suspendedPlace(spec.directory);
    const damages = {
      memory: "the memory has another sum",
      devices: "another sum",
      "manifest.json": "another sum",
    };
    for (const [name, why] of Object.entries(damages)) {
      const path = join(place, name);
      const good = readFileSync(path);
      const bad = Buffer.from(good);
      bad[bad.length >> 1] = (bad[bad.length >> 1] ?? 0) ^ 1;
      writeFileSync(path, bad);
      await refused(why);
      writeFileSync(path, good);
    }
    const manifest = readFileSync(join(place, "manifest.json"));
    const forge = (change: Readonly<Record<string, unknown>>): void => {
      const json = JSON.stringify({ ...JSON.parse(manifest.toString().split("\n")[1] ?? ""), ...change });
      const sum = new Bun.CryptoHasher("sha256").update(json).digest("hex");
      writeFileSync(join(place, "manifest.json"), `${sum}\n${json}`);
    };
    for (const [change, why] of [
      [{ id: "0".repeat(64) }, "another container"],
      [{ qemu: "another sum" }, "QEMU was exchanged"],
      [{ acceleration: "kvm" }, "ran with kvm"],
      [{ disks: ["0.raw", "1.qcow2"] }, "disk is not the one"],
      [{ ranges: [[4096, 0]] }, "no place"],
      [{ format: 99 }, "another version"],
    ] as const) {
      forge(change);
      await refused(why);
    }
    writeFileSync(join(place, "manifest.json"), manifest);
    await using second = Object.assign(await wall.revive(spec), {
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
    expect(await inside(second, "cat /dev/shm/mark")).toBe("in memory");
    await second.remove();
  },
  patience,
);

test(
  "a machine that booted by itself is suspended, resumed and forked like one that came of a template",
  async () => {
    await using booting = Object.assign(makeWall(false), {
      [Symbol.asyncDispose]: () => booting.close(),
    });
    const spec = specOf();
    await using sandbox = await started(booting, spec);
    await inside(sandbox, "echo in memory > /dev/shm/mark");
    await sandbox.suspend?.();
    const again = await booting.revive(spec);
    const copy = { ...specOf(), hostname: "copy" };
    const [sibling] = (await again.fork?.([copy])) ?? [];
    for (const each of [again, sibling])
      expect(each && (await inside(each, "cat /dev/shm/mark"))).toBe("in memory");
    expect(sibling && (await inside(sibling, "hostname"))).toBe("copy");
    await sibling?.remove();
    await again.remove();
  },
  patience,
);

test(
  "a machine is forked although an attempt before was cut short between two words to its QEMU",
  async () => {
    const spec = specOf();
    await using sandbox = await started(wall, spec);
    const { disks, monitorSocket } = layoutOf(spec);
    const name = await addDiskFile({ directory: disks, bytes: diskBytes, owner: jailUser(spec) }, 1);
    const node = { ...writableFile(1, `${jailed.disks}/${name}`), backing: null };
    await qmp(monitorSocket, [{ execute: "blockdev-add", arguments: node }]);
    const [sibling] = (await sandbox.fork?.([specOf()])) ?? [];
    expect(sibling && (await inside(sibling, "echo copy > /own && cat /own"))).toBe("copy");
    expect(await inside(sandbox, "echo parent > /own && cat /own")).toBe("parent");
    await sibling?.remove();
  },
  patience,
);
