/** Mounts in each other, of the wrong kind, of single files and programs, and what Docker's clients are told of them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onBothWalls, testTimeout } from "../support/scenario.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "h-"));
  copyFileSync(Bun.which("busybox") ?? "", join(directory, "busybox"));
  writeFileSync(join(directory, "script"), "#!/tools/busybox sh\necho script of $1\n");
  chmodSync(join(directory, "script"), 0o755);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

onBothWalls("mounts", ({ wall, run, ok, hull, daemon, name }) => {
  const placeOf = async (volume: string): Promise<string> =>
    JSON.parse(await ok(["volume", "inspect", volume]))[0].Mountpoint;

  test(
    "mounts are in each other, in any order, and below a root that is read-only",
    async () => {
      const [outer, inner, bound] = [name("outer"), name("inner"), join(directory, name("bound"))];
      mkdirSync(bound);
      const mounts = ["-v", `${inner}:/v/sub/inner`, "-v", `${bound}:/v/bound`, "-v", `${outer}:/v`];
      const script =
        "echo a >/v/sub/inner/x; echo b >/v/bound/y; echo c >/v/memory/z; echo d >/v/own; echo no >/no";
      const result = await run([
        ...["--rm", "--read-only", ...mounts, "--tmpfs", "/v/memory", "-v", "/made/by/it"],
        ...["hull/tiny", "sh", "-c", `${script}; echo e >/made/by/it/f && find /v /made -type f | sort`],
      ]);
      expect(result.stdout).toBe("/made/by/it/f\n/v/bound/y\n/v/memory/z\n/v/own\n/v/sub/inner/x\n");
      expect(result.stderr).toContain("/no: Read-only file system");
      // Each has its own, and the outer one only the places.
      const place = await placeOf(outer);
      expect(readdirSync(place).sort()).toEqual(["bound", "memory", "own", "sub"]);
      for (const empty of ["bound", "memory", "sub/inner"])
        expect(readdirSync(join(place, empty))).toEqual([]);
      expect(readdirSync(await placeOf(inner))).toEqual(["x"]);
      expect(readdirSync(bound)).toEqual(["y"]);
      // No place can be made in one that is read-only.
      const closed = await run([
        "--rm",
        "-v",
        `${outer}:/v:ro`,
        "-v",
        `${inner}:/v/absent`,
        "hull/tiny",
        "true",
      ]);
      expect(closed.code).toBe(125);
      expect(closed.stderr).toContain("Read-only file system");
      const again = await run([
        "--rm",
        "-v",
        `${outer}:/v:ro`,
        "-v",
        `${inner}:/v/sub/inner`,
        "hull/tiny",
        "cat",
        "/v/sub/inner/x",
      ]);
      expect(again.stdout).toBe("a\n");
      await ok(["volume", "rm", outer, inner]);
    },
    testTimeout,
  );

  test(
    "programs and single files come from mounts, read-only ones, too",
    async () => {
      const tools = ["--rm", "-v", `${directory}:/tools:ro`, "hull/tiny"];
      expect((await run([...tools, "/tools/busybox", "echo", "own"])).stdout).toBe("own\n");
      expect((await run([...tools, "/tools/script", "mine"])).stdout).toBe("script of mine\n");
      const absent = await run([...tools, "/tools/absent"]);
      expect([absent.code, absent.stderr]).toEqual([
        127,
        expect.stringContaining("executable file not found"),
      ]);
      const single = await run([
        ...["--rm", "-v", `${join(directory, "script")}:/etc/passwd:ro`, "hull/tiny", "sh", "-c"],
        "wc -l < /etc/passwd; echo x >> /etc/passwd; rm /etc/passwd || true",
      ]);
      expect(single.stdout).toBe("2\n");
      expect(single.stderr).toContain("Read-only file system");
      expect(single.stderr).toContain("busy");
    },
    testTimeout,
  );

  test(
    "a file is not mounted on a directory, nor a directory on a file",
    async () => {
      for (const mount of [`${directory}:/bin/busybox`, `${join(directory, "script")}:/etc`]) {
        const { code, stderr } = await run(["--rm", "-v", mount, "hull/tiny", "true"]);
        expect(code).toBe(125);
        expect(stderr).toContain("Are you trying to mount a directory onto a file (or vice-versa)?");
      }
      expect(await ok(["ps", "-aq"])).toBe("");
    },
    testTimeout,
  );

  test(
    "docker tells who mounts what, copies into it unless it is read-only, and shows its size",
    async () => {
      const [volume, box] = [name("told"), name("teller")];
      const docker = async (...args: string[]): Promise<string> => {
        const { code, stdout, stderr } = await daemon().docker(args);
        expect([args, code, stderr]).toEqual([args, 0, expect.any(String)]);
        return stdout;
      };
      const since = String(Math.floor(Date.now() / 1000) - 1);
      await docker("volume", "create", volume);
      const mounts = ["-v", `${volume}:/v`, "--mount", `type=volume,src=${volume},dst=/r,readonly`];
      const id = (
        await docker("run", "-d", "--isolation", wall, "--name", box, ...mounts, "hull/tiny", "sleep", "600")
      ).trim();
      await docker("cp", join(directory, "script"), `${box}:/v/script`);
      const refused = await daemon().docker(["cp", join(directory, "script"), `${box}:/r/other`]);
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("marked read-only")]);
      expect(await docker("cp", `${box}:/r/script`, "-")).toContain("script of $1");
      const usage = await docker("system", "df", "-v", "--format", "{{json .Volumes}}");
      expect(JSON.parse(usage)).toMatchObject([{ Name: volume, Links: "1", Size: "4.096kB" }]);
      await docker("rm", "-f", box);
      await docker("volume", "rm", volume);
      const until = String(Math.ceil(Date.now() / 1000) + 1);
      const format = "{{.Action}} {{json .Actor.Attributes}}";
      const filter = ["--filter", "type=volume", "--filter", `volume=${volume}`];
      const events = await docker(
        "events",
        "--since",
        since,
        "--until",
        until,
        ...filter,
        "--format",
        format,
      );
      const [container, driver, propagation] = [id, "local", ""];
      const attributes = (line: string) => [line.split(" ")[0], JSON.parse(line.slice(line.indexOf(" ")))];
      expect(events.trim().split("\n").map(attributes)).toEqual([
        ["create", { driver }],
        ["mount", { container, destination: "/v", driver, propagation, "read/write": "true" }],
        ["mount", { container, destination: "/r", driver, propagation, "read/write": "false" }],
        ["unmount", { container, driver }],
        ["unmount", { container, driver }],
        ["destroy", { driver }],
      ]);
      expect(existsSync(join(daemon().root, "volumes", volume))).toBe(false);
    },
    testTimeout,
  );

  test(
    "what the host has mounted read-only or without programs stays so, and a tmpfs takes the words of mount(8)",
    async () => {
      const [fixed, plain, source] = [name("host-fixed"), name("host-plain"), join(directory, name("host"))];
      mkdirSync(source);
      copyFileSync(join(directory, "busybox"), join(source, "busybox"));
      const device = ["-o", "type=none", "-o", `device=${source}`];
      await ok(["volume", "create", ...device, "-o", "o=bind,ro,noexec,nosuid", fixed]);
      await ok(["volume", "create", ...device, "-o", "o=bind", plain]);
      const script = [
        "touch /f/new || echo fixed; /f/busybox true || echo none; touch /p/new && /p/busybox echo program",
        "cp /p/busybox /t/ && /t/busybox echo in memory; cp /p/busybox /n/ && /n/busybox true || echo none",
        "sed -n 's,.* /t tmpfs .*noatime.*,noatime,p' /proc/mounts",
      ];
      const seen = await run([
        ...["--rm", "-v", `${fixed}:/f`, "-v", `${plain}:/p`],
        ...["--tmpfs", "/t:exec,suid,noatime", "--tmpfs", "/n:exec,noexec"],
        ...["hull/tiny", "sh", "-c", script.join("; ")],
      ]);
      expect(seen.stdout).toBe("fixed\nnone\nprogram\nin memory\nnone\nnoatime\n");
      expect(readdirSync(source).sort()).toEqual(["busybox", "new"]);
      await ok(["volume", "rm", fixed, plain]);
    },
    testTimeout,
  );

  test(
    "a full volume is No space left inside and harmless outside",
    async () => {
      const full = name("full");
      await ok(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=2m", full]);
      const script =
        "dd if=/dev/zero of=/m/f bs=64k count=64; mkdir /m/d && echo made; rm /m/f; echo back > /m/g && cat /m/g";
      const result = await run(["--rm", "-v", `${full}:/m`, "hull/tiny", "sh", "-c", script]);
      expect(result.stderr).toContain("No space left on device");
      expect(result.stdout).toEndWith("back\n");
      expect((await hull(["volume", "rm", full])).code).toBe(0);
    },
    testTimeout,
  );
});
