/** Archives of images, exchanged with tools of other makes: docker, skopeo, podman, umoci. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram, startDaemon, type TestDaemon } from "../support/daemon.ts";

const directory = mkdtempSync(join(tmpdir(), "archives-"));
const at = (name: string): string => join(directory, name);
let daemon: TestDaemon;
const timeout = 120_000;

beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.hullOk(["create", "--name", "maker", "hull/tiny", "true"]);
  await Bun.write(at("payload"), "carried\n");
  await daemon.hullOk(["cp", "-q", at("payload"), "maker:/payload"]);
  const change = ["-c", 'CMD ["cat", "/payload"]', "-c", "ENV CARRIED=yes"];
  await daemon.hullOk(["commit", ...change, "maker", "example.org/team/made:1"]);
  await daemon.hullOk(["tag", "example.org/team/made:1", "made:two"]);
}, timeout);

afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
}, timeout);

async function must(...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(command);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${stderr}`);
  return stdout;
}

const podman = (...args: string[]): Promise<string> =>
  must(
    ...["podman", "--root", at("podman"), "--runroot", at("podman-run"), "--storage-driver", "vfs"],
    ...["--cgroup-manager", "cgroupfs", "--events-backend", "none", ...args],
  );

async function idOf(image: string): Promise<string> {
  return await daemon.hullOk(["image", "inspect", "-f", "{{.Id}}", image]);
}

async function withoutImages(): Promise<void> {
  const names = ["example.org/team/made:1", "made:two"];
  for (const name of names) await daemon.hull(["rmi", "-f", name]);
}

async function restore(): Promise<void> {
  await daemon.hullOk(["load", "-q", "-i", at("both.tar")]);
}

test(
  "a saved archive loads again, names and ids as before, and is the same bytes the next time",
  async () => {
    const id = await idOf("made:two");
    await daemon.hullOk(["save", "-o", at("both.tar"), "made:two", "example.org/team/made:1"]);
    await withoutImages();
    expect(await daemon.hullOk(["load", "-i", at("both.tar")])).toContain("Loaded image: made:two");
    expect([await idOf("made:two"), await idOf("example.org/team/made:1")]).toEqual([id, id]);
    expect(await daemon.hullOk(["run", "--rm", "made:two"])).toBe("carried");
    await daemon.hullOk(["save", "-o", at("again.tar"), "made:two", "example.org/team/made:1"]);
    expect(readFileSync(at("again.tar")).equals(readFileSync(at("both.tar")))).toBe(true);
    expect(readdirSync(directory).some((name) => name.includes("hull-"))).toBe(false);
    const missing = await daemon.hull(["save", "-o", at("none.tar"), "made:two", "no/such:image"]);
    expect([missing.code, readdirSync(directory).includes("none.tar")]).toEqual([1, false]);
  },
  timeout,
);

test(
  "the docker command saves and loads the same archives, by name, by id and compressed",
  async () => {
    const id = await idOf("made:two");
    const saved = await daemon.docker(["save", "made:two", id]);
    expect([saved.code, saved.stderr]).toEqual([0, ""]);
    await withoutImages();
    const loaded = await daemon.docker(["load"], { stdin: saved.stdoutBytes });
    expect(loaded.stdout).toContain("Loaded image: made:two");
    expect(await idOf("made:two")).toBe(id);
    for (const [program, suffix] of [
      ["gzip", "gz"],
      ["zstd", "zst"],
      ["xz", "xz"],
    ] as const) {
      await must(program, "-k", "-q", "-f", at("both.tar"));
      await withoutImages();
      expect((await daemon.docker(["load", "-i", at(`both.tar.${suffix}`)])).code).toBe(0);
      expect(await idOf("made:two")).toBe(id);
    }
  },
  timeout,
);

test(
  "skopeo and umoci read what was saved, and Hull what they write",
  async () => {
    await restore();
    const id = await idOf("made:two");
    for (const from of [`docker-archive:${at("both.tar")}:made:two`, `oci-archive:${at("both.tar")}:two`]) {
      const config: unknown = JSON.parse(await must("skopeo", "inspect", "--config", from));
      expect(config).toMatchObject({ config: { Cmd: ["cat", "/payload"] } });
    }
    await must(
      "skopeo",
      "copy",
      "-q",
      "--insecure-policy",
      `oci-archive:${at("both.tar")}:two`,
      `oci:${at("layout")}:two`,
    );
    await must("umoci", "unpack", "--image", `${at("layout")}:two`, at("bundle"));
    expect(readFileSync(at("bundle/rootfs/payload"), "utf8")).toBe("carried\n");
    await withoutImages();
    for (const to of [
      `docker-archive:${at("by-skopeo.tar")}:skopeo/made:3`,
      `oci-archive:${at("by-skopeo-oci.tar")}:skopeo/oci:3`,
    ])
      await must("skopeo", "copy", "-q", "--insecure-policy", `oci:${at("layout")}:two`, to);
    await daemon.hullOk(["load", "-q", "-i", at("by-skopeo.tar")]);
    await daemon.hullOk(["load", "-q", "-i", at("by-skopeo-oci.tar")]);
    expect([await idOf("skopeo/made:3"), await idOf("skopeo/oci:3")]).toEqual([id, id]);
    await daemon.hullOk(["rmi", "skopeo/made:3", "skopeo/oci:3"]);
    await restore();
  },
  timeout,
);

test(
  "podman loads what was saved, and Hull what podman saves",
  async () => {
    await restore();
    const id = await idOf("made:two");
    try {
      expect(await podman("load", "-q", "-i", at("both.tar"))).toContain("made");
      expect(
        (await podman("image", "inspect", "--format", "{{.Id}}", "example.org/team/made:1")).trim(),
      ).toBe(id.slice(7));
      await withoutImages();
      for (const format of ["docker-archive", "oci-archive"]) {
        await podman(
          "save",
          "-q",
          "--format",
          format,
          "-o",
          at(`by-podman-${format}.tar`),
          "example.org/team/made:1",
        );
        await daemon.hullOk(["load", "-q", "-i", at(`by-podman-${format}.tar`)]);
        expect(await daemon.hullOk(["run", "--rm", "example.org/team/made:1"])).toBe("carried");
        await daemon.hullOk(["rmi", "example.org/team/made:1"]);
      }
    } finally {
      await podman("rmi", "-a", "-f").catch(() => "");
      await restore();
    }
  },
  timeout,
);
