/** What is kept of images: counted, pruned, checked and mended, by hull and by the docker command; and crashes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";

const directory = mkdtempSync(join(tmpdir(), "store-"));
let daemon: TestDaemon;
const timeout = 120_000;

beforeAll(async () => {
  daemon = await startDaemon();
}, timeout);
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
}, timeout);

/** Makes an image whose one layer has a file of that content. */
async function make(reference: string, content: string, ...changes: string[]): Promise<string> {
  const root = mkdtempSync(join(directory, "root-"));
  writeFileSync(join(root, "file"), content);
  const tar = join(directory, `${reference.replaceAll(/\W/g, "-")}.tar`);
  await Bun.$`tar --sort=name --mtime=@0 --owner=0 --group=0 -cf ${tar} -C ${root} file`.quiet();
  return await daemon.hullOk(["import", ...changes.flatMap((change) => ["-c", change]), tar, reference]);
}

function storedFiles(): string[] {
  return ["content/blobs/sha256", "content/temp", "layers"].flatMap((place) =>
    readdirSync(join(daemon.root, place)).map((name) => join(daemon.root, place, name)),
  );
}

const bytesOf = (files: readonly string[]): number =>
  files.reduce((sum, file) => sum + statSync(file).blocks * 512, 0);

test(
  "system df is what the files take, and the docker command shows what is shared",
  async () => {
    await make("df:one", "x".repeat(200_000));
    await make("df:two", "x".repeat(200_000), "LABEL second=yes");
    const response = await fetch("http://hull/v1.47/system/df", { unix: daemon.socket });
    expect(await response.json()).toMatchObject({ LayersSize: bytesOf(storedFiles()) });
    const docker = (
      await daemon.docker([
        "system",
        "df",
        "-v",
        "--format",
        "{{range .Images}}{{.Repository}} {{.SharedSize}} {{.UniqueSize}}\n{{end}}",
      ])
    ).stdout;
    const [one, two] = docker.split("\n").filter((line) => line.startsWith("df "));
    expect(one?.split(" ")[1]).not.toBe("0B");
    expect(one?.split(" ")[1]).toBe(two?.split(" ")[1] ?? "");
    expect(await daemon.hullOk(["system", "df", "-v"])).toContain("SHARED SIZE");
    expect(await daemon.hullOk(["system", "df"])).toContain("RECLAIMABLE");
    await daemon.hullOk(["rmi", "df:one", "df:two"]);
    expect(storedFiles()).toEqual([]);
  },
  timeout,
);

test(
  "prune takes what filters say, frees what it says, and leaves what is used",
  async () => {
    await make("prune:kept", "kept", "LABEL keep=1");
    await make("prune:gone", "gone");
    await make("prune:moved", "before");
    await make("prune:moved", "after");
    await make("prune:used", "used", 'CMD ["/file"]');
    await daemon.hullOk(["create", "--name", "user", "prune:used"]);
    expect(await daemon.hullOk(["images", "-q", "-f", "dangling=true"])).not.toBe("");
    expect(await daemon.hullOk(["images", "-q", "-f", "until=1h"])).toBe("");
    expect(
      (await daemon.docker(["images", "-q", "--filter", "label=keep"])).stdout.trim().split("\n").length,
    ).toBe(1);
    const dangling = await daemon.docker(["image", "prune", "-f"]);
    expect(dangling.stdout).toContain("deleted: sha256:");
    expect(await daemon.hullOk(["images", "-q", "-f", "dangling=true"])).toBe("");
    expect(await daemon.hullOk(["image", "prune", "-a", "--filter", "until=1h"])).toContain("space: 0B");
    await daemon.hullOk(["image", "prune", "-a", "--filter", "label!=keep"]);
    const left = (await daemon.hullOk(["images", "--format", "{{.Repository}}:{{.Tag}}"])).split("\n").sort();
    expect(left).toEqual(["prune:kept", "prune:used"]);
    const refused = await daemon.hull(["rmi", "prune:used", "prune:kept"]);
    expect([refused.code, refused.stderr.includes("in use")]).toEqual([1, true]);
    expect(await daemon.hullOk(["system", "prune", "-a", "-f"])).toContain("Deleted Containers:");
    expect(await daemon.hullOk(["images", "-q"])).toBe("");
    expect(storedFiles()).toEqual([]);
  },
  timeout,
);

test(
  "image verify finds damage, mends what it can, and fails for what it cannot",
  async () => {
    await make("bad:1", "content".repeat(1000));
    expect(await daemon.hullOk(["image", "verify"])).toContain("all is whole");
    const layer = storedFiles().find((file) => file.endsWith(".erofs")) ?? "";
    writeFileSync(layer, "nonsense");
    const found = await daemon.hull(["image", "verify", "--check"]);
    expect([
      found.code,
      found.stdout.includes("of bad:1: it is not what its blob makes; not mended"),
    ]).toEqual([1, true]);
    expect(await daemon.hullOk(["image", "verify"])).toContain("mended: made again from its blob");
    const blob = storedFiles().find((file) => file.includes("blobs") && statSync(file).size > 7000) ?? "";
    writeFileSync(blob, "nonsense");
    const lost = await daemon.hull(["image", "verify"]);
    expect([lost.code, lost.stdout.includes("load or build the image again")]).toEqual([1, true]);
    await daemon.hullOk(["rmi", "bad:1"]);
    expect(storedFiles()).toEqual([]);
  },
  timeout,
);

test(
  "a daemon that is killed at any moment of loads and removals leaves a whole store and nothing else",
  async () => {
    const names = ["crash:1", "crash:2", "crash:3"];
    for (const [index, name] of names.entries()) await make(name, String(index).repeat(600_000));
    const archive = join(directory, "crash.tar");
    await daemon.hullOk(["save", "-o", archive, ...names]);
    const bytes = await Bun.file(archive).bytes();
    // Not by the command line, which would start a daemon of its own when none answers.
    const ask = (method: string, path: string, body?: Uint8Array): Promise<unknown> =>
      fetch(`http://hull/v1.47${path}`, {
        unix: daemon.socket,
        method,
        ...(body === undefined ? {} : { body }),
      })
        .then((response) => response.text())
        .catch(() => undefined);
    for (let round = 0; round < 8; round++) {
      const work = [
        ask("POST", "/images/load", bytes),
        ask("POST", "/images/load", bytes),
        ...names.map((name) => ask("DELETE", `/images/${name}?force=1`)),
        ask("POST", "/images/crash:1/tag?repo=crash&tag=moved"),
      ];
      await Bun.sleep(20 + round * 25);
      await daemon.kill9();
      await Promise.all(work);
      await daemon.start();
      const checked = await daemon.hull(["image", "verify", "--check"]);
      expect([round, checked.code, checked.stderr]).toEqual([round, 0, ""]);
    }
    const ids = (await daemon.hullOk(["images", "-q", "--no-trunc"])).split("\n").filter((id) => id !== "");
    for (const id of new Set(ids)) await daemon.hullOk(["rmi", "-f", id]);
    expect(storedFiles()).toEqual([]);
  },
  timeout,
);
