import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onBothWalls, testTimeout } from "../support/scenario.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "hull-volumes-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

onBothWalls("volumes", ({ wall, run, ok, hull, name }) => {
  test(
    "a volume outlives its workloads, with owners, modes, links and names",
    async () => {
      const volume = name("kept");
      const script = [
        "echo hello > /data/file && chmod 640 /data/file && chown 1234:4321 /data/file",
        "ln -s file /data/link && ln /data/file /data/hard && mkdir -m 1777 /data/dir",
        "mv /data/dir /data/renamed && : > /data/cut && echo 123456 > /data/cut && truncate -s 3 /data/cut",
      ].join(" && ");
      await ok([
        "run",
        "--rm",
        "--isolation",
        wall,
        "-v",
        `${volume}:/data`,
        "hull/tiny",
        "sh",
        "-c",
        script,
      ]);
      const look =
        "stat -c '%u:%g %a %h %s' /data/file; readlink /data/link; cat /data/link; stat -c %a /data/renamed; cat /data/cut";
      const seen = await ok([
        "run",
        "--rm",
        "--isolation",
        wall,
        "-v",
        `${volume}:/data`,
        "hull/tiny",
        "sh",
        "-c",
        look,
      ]);
      expect(seen).toBe("1234:4321 640 2 6\nfile\nhello\n1777\n123");
      // QEMU's file server opens no special file, and so cannot set the mode of one (CVE-2023-2861).
      const fifo = await run(["--rm", "-v", `${volume}:/data`, "hull/tiny", "mkfifo", "/data/fifo"]);
      expect(fifo.stderr).toContain(wall === "vm" ? "No such device or address" : "");
      expect(fifo.code).toBe(wall === "vm" ? 1 : 0);
      // The host, and the other wall, see the same.
      const { Mountpoint } = JSON.parse(await ok(["volume", "inspect", volume]))[0];
      const file = statSync(join(Mountpoint, "file"));
      expect([file.uid, file.gid, file.mode & 0o7777, file.nlink]).toEqual([1234, 4321, 0o640, 2]);
      const other = wall === "vm" ? "container" : "vm";
      expect(
        await ok([
          "run",
          "--rm",
          "--isolation",
          other,
          "-v",
          `${volume}:/data`,
          "hull/tiny",
          "cat",
          "/data/hard",
        ]),
      ).toBe("hello");
      await ok(["volume", "rm", volume]);
    },
    testTimeout,
  );

  test(
    "binds, read-only ones, single files, tmpfs and what may not be",
    async () => {
      const source = join(directory, wall);
      mkdirSync(source);
      writeFileSync(join(source, "given"), "from the host\n");
      const mounts = [
        "-v",
        `${source}:/own`,
        "-v",
        `${source}:/fixed:ro`,
        "-v",
        `${source}/given:/etc/given`,
        "--tmpfs",
        "/scratch:size=1m,mode=1770",
      ];
      const script = [
        "cat /etc/given; echo back > /own/answer; cat /fixed/answer",
        "echo no > /fixed/new || echo refused; mount -o remount,rw,bind /fixed 2>/dev/null; echo no > /fixed/new || echo refused again",
        "stat -c %a /scratch; dd if=/dev/zero of=/scratch/big bs=1M count=2 2>/dev/null || echo full",
      ].join("; ");
      const result = await run([
        "--rm",
        ...(wall === "vm" ? ["--cap-add", "SYS_ADMIN"] : []),
        ...mounts,
        "hull/tiny",
        "sh",
        "-c",
        script,
      ]);
      expect(result.stdout).toBe("from the host\nback\nrefused\nrefused again\n1770\nfull\n");
      expect(readFileSync(join(source, "answer"), "utf8")).toBe("back\n");
      const missing = await run([
        "--rm",
        "--mount",
        `type=bind,source=${source}/absent,target=/a`,
        "hull/tiny",
        "true",
      ]);
      expect(missing.code).toBe(125);
      expect(missing.stderr).toContain(`${source}/absent`);
    },
    testTimeout,
  );

  test(
    "an empty volume gets what the image has; anonymous ones go with their workload",
    async () => {
      const box = name("copied");
      await ok(["run", "-d", "--isolation", wall, "--name", box, "-v", "/bin", "hull/tiny", "sleep", "600"]);
      const [{ Mounts }] = JSON.parse(await ok(["inspect", box]));
      expect(Mounts).toMatchObject([{ Type: "volume", Destination: "/bin", RW: true }]);
      expect(statSync(join(Mounts[0].Source, "busybox")).size).toBeGreaterThan(1000);
      const inUse = await hull(["volume", "rm", Mounts[0].Name]);
      expect(inUse.code).toBe(1);
      expect(inUse.stderr).toContain("in use");
      await ok(["rm", "-f", "-v", box]);
      expect(await ok(["volume", "ls", "-q"])).not.toContain(Mounts[0].Name);
    },
    testTimeout,
  );

  test(
    "a part of a volume, another workload's volumes, and a volume with options",
    async () => {
      const [volume, memory, box] = [name("parts"), name("memory"), name("owner")];
      await ok(["volume", "create", "--label", "a=b", volume]);
      const fill = "mkdir /v/sub; echo inside > /v/sub/file; ln -s ../.. /v/out; echo outside > /v/top";
      await ok([
        "run",
        "--name",
        box,
        "--isolation",
        wall,
        "-v",
        `${volume}:/v`,
        "hull/tiny",
        "sh",
        "-c",
        fill,
      ]);
      const part = (path: string) => [
        "--rm",
        "--mount",
        `type=volume,src=${volume},dst=/p,volume-subpath=${path}`,
        "hull/tiny",
        "ls",
        "/p",
      ];
      expect((await run(part("sub"))).stdout).toBe("file\n");
      // A link that leads out ends at the volume's own root.
      expect((await run(part("out"))).stdout).toBe("out\nsub\ntop\n");
      expect((await run(part("absent"))).stderr).toContain("has nothing there");
      expect(
        (
          await run([
            "--rm",
            "--volumes-from",
            `${box}:ro`,
            "hull/tiny",
            "sh",
            "-c",
            "cat /v/top; echo x > /v/y || echo fixed",
          ])
        ).stdout,
      ).toBe("outside\nfixed\n");
      await ok(["rm", box]);
      await ok(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", memory]);
      const full = await run([
        "--rm",
        "-v",
        `${memory}:/m`,
        "hull/tiny",
        "sh",
        "-c",
        "dd if=/dev/zero of=/m/f bs=1M count=2 2>/dev/null || echo full",
      ]);
      expect(full.stdout).toBe("full\n");
      await ok(["volume", "rm", volume, memory]);
    },
    testTimeout,
  );
});
