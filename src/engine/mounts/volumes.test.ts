/** Volumes of workloads, on fakes: what is made, undone, removed and left alone. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { FakeFiles } from "../../wall/fake-files.ts";
import { EngineBench, requestOf } from "../testing/engine-bench.ts";
import type { MountRequest } from "./mount-request.ts";
import { anonymousVolume } from "./resolve-mounts.ts";

let bench: EngineBench;
let failing = "";
beforeEach(async () => {
  failing = "";
  bench = await EngineBench.open((step) => {
    if (step === failing) throw new Error(`failed after ${step}`);
  });
});
afterEach(() => bench[Symbol.asyncDispose]());

const anonymous = anonymousVolume("/anonymous");
const named: MountRequest = { ...anonymousVolume("/named"), source: "kept" };
const names = (): string[] => bench.engine.volumes.list().map(({ name }) => name);
const create = (mounts: readonly MountRequest[], changes = {}) =>
  bench.engine.create(requestOf("sleep", { mounts: [...mounts], wall: "vm", ...changes }));

test("a creation that fails takes the volumes along that it made, and no others", async () => {
  bench.engine.volumes.create({ name: "there", driver: "", anonymous: false, options: {}, labels: {} });
  failing = "create:volumes";
  const there = { ...anonymousVolume("/there"), source: "there" };
  await expect(create([anonymous, named, there])).rejects.toThrow("failed after");
  expect(names()).toEqual(["there"]);
  failing = "";
  // The second cannot be made, so the first is not, either.
  const bad: MountRequest = { ...named, target: "/bad", source: "x" };
  await expect(create([named, bad])).rejects.toThrow("volume name");
  expect(names()).toEqual(["there"]);
});

test("anonymous volumes go with their workload when asked, unless another has them", async () => {
  const [one, two] = [await create([anonymous], { name: "one" }), await create([], { volumesFrom: ["one"] })];
  await bench.engine.remove(one, { force: true, volumes: true });
  expect(names()).toHaveLength(1);
  await bench.engine.remove(two, { force: true, volumes: true });
  expect(names()).toHaveLength(1);
  expect(await bench.engine.volumes.prune(({ anonymous }) => anonymous)).toHaveLength(1);
  expect(names()).toEqual([]);
});

test("a removal that a crash cuts short still takes the volumes along", async () => {
  const workload = await create([anonymous, named]);
  failing = "remove:directory";
  await expect(bench.engine.remove(workload, { force: false, volumes: true })).rejects.toThrow("failed");
  expect(names()).toHaveLength(2);
  expect(workload.state).toBe("dead");
  failing = "";
  await bench.engine.remove(workload, { force: false, volumes: true });
  expect(names()).toEqual(["kept"]);
});

test("memory of a machine with files of the host is not saved, and a volume in use is not removed", async () => {
  const workload = await create([named]);
  await bench.engine.start(workload);
  await expect(bench.engine.suspend(workload)).rejects.toThrow("with a volume mounted at /named");
  await expect(bench.engine.fork(workload, { count: 1, name: undefined })).rejects.toThrow("cannot be saved");
  await expect(bench.engine.volumes.remove("kept", { force: true })).rejects.toThrow("in use");
});

test("a socket of the host is refused to a machine, which has a kernel of its own", async () => {
  const path = join(bench.directory, "listening.sock");
  await using _server = createServer().listen(path);
  const bind: MountRequest = { ...anonymous, type: "bind", source: path, target: "/run/listening.sock" };
  await expect(create([bind])).rejects.toThrow("a bind of the socket");
  const workload = await create([bind], { wall: "container" });
  await expect(bench.engine.move(workload, "vm", "vm")).rejects.toThrow("a bind of the socket");
  expect(workload.record.wall).toBe("container");
});

test("a part of a volume may be a file at one start and a directory at the next, and leaves no place behind", async () => {
  const workload = await create([{ ...named, noCopy: true, subpath: "part" }]);
  const { mountpoint } = bench.engine.volumes.get("kept");
  const part = join(mountpoint, "part");
  const places = dirname(workload.record.mounts[0]?.path ?? "");
  for (const make of [
    () => writeFileSync(part, "x"),
    () => mkdirSync(part),
    () => writeFileSync(part, "x"),
  ]) {
    rmSync(part, { recursive: true, force: true });
    make();
    await bench.engine.start(workload);
    expect(readdirSync(places)).toHaveLength(1);
    await bench.engine.kill(workload, 9);
    await bench.engine.wait(workload, "not-running", new AbortController().signal);
    // What it had is let go of a little after its end was told.
    while (existsSync(places)) await Bun.sleep(5);
  }
});

test("an empty volume that others have is filled in its place, one's own is put there when it is whole", async () => {
  bench.world.filesOf = () => new FakeFiles(new Map([["/named/./given", "of the image"]]));
  const started = async (mount: MountRequest, others: number): Promise<boolean> => {
    for (let other = 0; other < others; other += 1) await create([mount]);
    const workload = await create([mount]);
    const { mountpoint } = bench.engine.volumes.get(mount.source);
    // One that starts at the same moment has this directory mounted.
    const before = statSync(mountpoint).ino;
    await bench.engine.start(workload);
    expect(readFileSync(join(mountpoint, "given"), "utf8")).toBe("of the image");
    expect(readdirSync(join(mountpoint, ".."))).toEqual(["_data"]);
    return statSync(mountpoint).ino === before;
  };
  expect(await started(named, 0)).toBe(false);
  expect(await started({ ...named, source: "shared" }, 1)).toBe(true);
});
