/** Files in and out of workloads, and images made of them, on both walls: by hull and by the real docker command. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../support/daemon.ts";
import { onBothWalls, testTimeout } from "../support/scenario.ts";
import { until } from "../support/until.ts";

function workspace(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "files-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** The names in a tar, with their types, as GNU tar tells them. */
async function listed(tar: Uint8Array): Promise<string[]> {
  const { stdout } = await runProgram(["tar", "-tf", "-"], { stdin: tar });
  return stdout.split("\n").filter((line) => line !== "");
}

onBothWalls("files", ({ wall, ok, hull, name, daemon }) => {
  const create = (box: string, script: string) =>
    ok(["create", "--isolation", wall, "--name", box, "hull/tiny", "sh", "-c", script]);

  test(
    "docker cp works both ways by all of its rules, on a running workload",
    async () => {
      using here = workspace();
      const box = name("copied");
      const script =
        "mkdir -p /d/sub && echo one > /d/one && echo two > /d/sub/two && ln -s one /d/link && ln -s /d /dlink; " +
        "echo ready; sleep 600";
      await create(box, script);
      await ok(["start", box]);
      await until("the workload is ready", async () => (await ok(["logs", box])).includes("ready"));
      const at = (path: string): string => join(here.path, path);
      const docker = async (...args: string[]): Promise<string> => {
        const result = await daemon().docker(["cp", ...args]);
        return result.code === 0 ? "ok" : result.stderr;
      };
      // Out: a file to a new name, into a directory, onto a file; a directory whole, its contents, under a new name.
      mkdirSync(at("into"));
      expect(await docker(`${box}:/d/one`, at("new"))).toBe("ok");
      expect(await docker(`${box}:/d/one`, at("into"))).toBe("ok");
      expect(await docker(`${box}:/d/sub/two`, at("new"))).toBe("ok");
      expect(await docker(`${box}:/d`, at("into"))).toBe("ok");
      expect(await docker(`${box}:/d`, at("renamed"))).toBe("ok");
      mkdirSync(at("contents"));
      expect(await docker(`${box}:/d/.`, at("contents"))).toBe("ok");
      expect(readFileSync(at("new"), "utf8")).toBe("two\n");
      for (const path of ["into/one", "into/d/one", "renamed/one", "contents/one"])
        expect(readFileSync(at(path), "utf8")).toBe("one\n");
      expect(readlinkSync(at("contents/link"))).toBe("one");
      // A link is copied as one, unless it is to be followed.
      expect(await docker(`${box}:/d/link`, at("as-link"))).toBe("ok");
      expect(await docker("-L", `${box}:/d/link`, at("followed"))).toBe("ok");
      expect(lstatSync(at("as-link")).isSymbolicLink()).toBe(true);
      expect(readFileSync(at("followed"), "utf8")).toBe("one\n");
      // In: to a new name, into a directory, through a link to one, contents; and what is refused.
      writeFileSync(at("file"), "from here\n");
      chmodSync(at("file"), 0o640);
      expect(await docker(at("file"), `${box}:/tmp/there`)).toBe("ok");
      expect(await docker(at("file"), `${box}:/dlink`)).toBe("ok");
      expect(await docker(at("contents"), `${box}:/tmp/tree`)).toBe("ok");
      expect(await docker(`${at("contents")}/.`, `${box}:/tmp/tree`)).toBe("ok");
      const look =
        "cat /tmp/there /d/file; stat -c %a /tmp/there; cat /tmp/tree/sub/two; readlink /tmp/tree/link";
      expect(await ok(["exec", box, "sh", "-c", look])).toBe("from here\nfrom here\n640\ntwo\none");
      expect(await docker(`${box}:/none`, at("x"))).toContain("Could not find the file");
      expect(await docker(at("contents"), `${box}:/tmp/there`)).toContain("cannot copy");
      expect(await docker(at("file"), `${box}:/nowhere/at/all`)).toContain("Could not find the file");
      expect(await docker(at("file"), "nobody:/tmp")).toContain("No such container");
      // Tars by way of the standard streams.
      const out = await daemon().docker(["cp", `${box}:/d`, "-"]);
      expect((await listed(out.stdoutBytes)).sort()).toEqual([
        "d/",
        "d/file",
        "d/link",
        "d/one",
        "d/sub/",
        "d/sub/two",
      ]);
      expect(await ok(["exec", box, "mkdir", "/unpacked"])).toBe("");
      const into = await daemon().docker(["cp", "-", `${box}:/unpacked`], { stdin: out.stdoutBytes });
      expect([into.code, into.stderr]).toEqual([0, ""]);
      expect(await ok(["exec", box, "cat", "/unpacked/d/sub/two"])).toBe("two");
      await ok(["rm", "-f", box]);
    },
    testTimeout,
  );

  test(
    "hull cp does the same, on a workload that does not run",
    async () => {
      using here = workspace();
      const box = name("resting");
      const at = (path: string): string => join(here.path, path);
      mkdirSync(at("tree/deep"), { recursive: true });
      writeFileSync(at("tree/deep/file"), "content\n");
      symlinkSync("deep/file", at("tree/link"));
      await create(box, "cat /srv/deep/file; echo made > /made; chmod 4755 /made");
      expect((await hull(["cp", at("tree"), `${box}:/srv`])).stderr).toContain("Successfully copied");
      expect(await ok(["start", "-a", box])).toBe("content");
      await ok(["cp", "-q", `${box}:/made`, at("back")]);
      expect(readFileSync(at("back"), "utf8")).toBe("made\n");
      // A stranger's file gets no power over this machine.
      expect(statSync(at("back")).mode & 0o7777).toBe(0o755);
      await ok(["cp", `${box}:/srv`, at("srv")]);
      expect(readFileSync(at("srv/deep/file"), "utf8")).toBe("content\n");
      expect(readlinkSync(at("srv/link"))).toBe("deep/file");
      await ok(["cp", "-L", `${box}:/srv/link`, at("followed")]);
      expect(readFileSync(at("followed"), "utf8")).toBe("content\n");
      const missing = await hull(["cp", `${box}:/none`, at("x")]);
      expect(missing.code).toBe(1);
      expect(existsSync(at("x"))).toBe(false);
      expect((await hull(["cp", at("tree"), at("x")])).stderr).toContain("NAME:PATH");
      await ok(["rm", box]);
    },
    testTimeout,
  );

  test(
    "diff, commit and export agree on what a workload wrote, and the image runs",
    async () => {
      const box = name("writer");
      const image = `${name("committed")}:v1`;
      const script = "echo data > /data; rm /etc/os-release; mkdir /x; echo $GREETING; sleep 600";
      await ok([
        "run",
        "-d",
        "--isolation",
        wall,
        "--name",
        box,
        "-e",
        "GREETING=hello",
        "hull/tiny",
        "sh",
        "-c",
        script,
      ]);
      await until("the workload has written", async () => (await ok(["logs", box])).includes("hello"));
      const diff = (await daemon().docker(["diff", box])).stdout.trim().split("\n").sort();
      expect(diff).toEqual(["A /data", "A /x", "C /etc", "D /etc/os-release"]);
      expect((await ok(["diff", box])).split("\n").sort()).toEqual(diff);
      const commit = [
        "commit",
        "-m",
        "why",
        "-a",
        "me",
        "-c",
        'CMD ["cat", "/data"]',
        "-c",
        "ENV MORE=1",
        "-c",
        "LABEL a=b",
        box,
        image,
      ];
      const committed = await daemon().docker(commit);
      expect([committed.code, committed.stderr]).toEqual([0, ""]);
      expect(await ok(["inspect", "-f", "{{.State.Status}}", box])).toBe("running");
      const inspected = JSON.parse(await ok(["image", "inspect", image]))[0];
      expect(inspected).toMatchObject({ Id: committed.stdout.trim(), Author: "me", Comment: "why" });
      expect(inspected.Config.Env).toContain("GREETING=hello");
      expect(inspected.Config.Env).toContain("MORE=1");
      expect(inspected.Config.Labels).toMatchObject({ a: "b" });
      expect(inspected.RootFS.Layers.length).toBe(2);
      for (const isolation of ["container", "vm"])
        expect(await ok(["run", "--rm", "--isolation", isolation, image])).toBe("data");
      const gone = await hull([
        "run",
        "--rm",
        "--isolation",
        wall,
        image,
        "sh",
        "-c",
        "ls /etc/os-release /x",
      ]);
      expect(gone.stderr).toContain("os-release");
      // Twice the same files: the same layer.
      await ok(["stop", "-t", "0", box]);
      await ok(["commit", box, name("again")]);
      const again = JSON.parse(await ok(["image", "inspect", name("again")]))[0];
      expect(again.RootFS.Layers).toEqual(inspected.RootFS.Layers);
      const exported = await daemon().docker(["export", box]);
      const names = await listed(exported.stdoutBytes);
      expect(names).toContain("data");
      expect(names).toContain("x/");
      expect(names.some((each) => each.includes("os-release") || each.startsWith("proc/1"))).toBe(false);
      await ok(["rm", box]);
      await ok(["rmi", image, name("again")]);
    },
    testTimeout,
  );

  test(
    "a workload that wrote nothing differs in nothing, and its image has no layer of its own",
    async () => {
      const box = name("quiet");
      await create(box, "true");
      await ok(["start", "-a", box]);
      expect(await ok(["diff", box])).toBe("");
      const id = await ok(["commit", "-c", "USER 12", box]);
      const inspected = JSON.parse(await ok(["image", "inspect", id]))[0];
      expect(inspected.RootFS.Layers.length).toBe(1);
      expect(inspected.Config.User).toBe("12");
      const refused = await hull(["commit", "-c", "RUN true", box]);
      expect(refused.stderr).toContain("CMD, ENTRYPOINT");
      await ok(["rmi", id]);
      await ok(["rm", box]);
    },
    testTimeout,
  );
});
