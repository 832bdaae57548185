/** Real input: Debian 12 with python3, imported as a tar and pulled as an image that other tools made. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { debianLayout, debianTar, secondLayer } from "../support/images.ts";
import { startRegistry, type TestRegistry } from "../support/registry.ts";
import { onBothWalls, testTimeout } from "../support/scenario.ts";

let registry: TestRegistry | undefined;
let pulled = "";

beforeAll(async () => {
  const layout = await debianLayout();
  registry = await startRegistry();
  await registry.push(layout, "debian", "debian:12");
  pulled = `${registry.host}/debian:12`;
}, 600_000);

afterAll(async () => {
  await registry?.[Symbol.asyncDispose]();
});

onBothWalls("Debian", ({ wall, ok, run, runTerminal, hull, name, inspect }) => {
  test(
    "imports a root file system's tar once for both walls",
    async () => {
      if ((await hull(["images"])).stdout.includes("debian-imported")) return;
      const tar = Bun.file(await debianTar()).stream();
      await ok(["import", "-", "debian-imported:12"], { stdin: tar, timeoutMs: 200_000 });
      expect(await ok(["images"])).toMatch(/debian-imported\s+12/);
    },
    testTimeout,
  );

  test(
    "runs what is in it, and python's 10 MB arrive byte for byte",
    async () => {
      const box = name("debian");
      await ok(["run", "-d", "--isolation", wall, "--name", box, "debian-imported:12", "sleep", "3600"]);
      expect(await ok(["exec", box, "cat", "/etc/os-release"])).toContain('VERSION_ID="12"');
      expect(await ok(["exec", box, "apt-get", "--version"])).toMatch(/^apt 2\./);
      const program = "import sys; sys.stdout.buffer.write(bytes(range(250)) * 40000)";
      const result = await hull(["exec", box, "python3", "-c", program], { timeoutMs: 180_000 });
      expect(result.code).toBe(0);
      expect(result.stdoutBytes.length).toBe(10_000_000);
      const pattern = Buffer.from(Array.from({ length: 250 }, (_, byte) => byte));
      expect(Bun.hash(result.stdoutBytes)).toBe(Bun.hash(Buffer.alloc(10_000_000, pattern)));
      expect(
        await ok(["exec", box, "stat", "-c", "%a %U %G", "/etc/shadow", "/usr/bin/passwd", "/tmp"]),
      ).toBe("640 root shadow\n4755 root root\n1777 root root");
      const fault = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)";
      expect((await hull(["exec", box, "python3", "-c", fault])).code).toBe(139);
      await ok(["rm", "-f", box]);
    },
    testTimeout,
  );

  test(
    "python as the workload itself prints 10 MB",
    async () => {
      const program = "import sys; sys.stdout.write('0123456789' * 1000000)";
      const result = await run(["--rm", "debian-imported:12", "python3", "-c", program], {
        timeoutMs: 180_000,
      });
      expect(result.code).toBe(0);
      expect(Bun.hash(result.stdoutBytes)).toBe(Bun.hash(Buffer.alloc(10_000_000, "0123456789")));
    },
    testTimeout,
  );

  test(
    "an interactive bash in a terminal",
    async () => {
      const terminal = runTerminal(["--rm", "-it", "debian-imported:12", "bash", "--norc"], {
        columns: 100,
        rows: 30,
      });
      await terminal.waitFor(/[#$] $/);
      terminal.type("echo $((6*7)) $COLUMNS $LINES; whoami\n");
      await terminal.waitFor(/42 100 30[\s\S]*root/);
      terminal.type("exit 9\n");
      expect(await terminal.exited).toBe(9);
    },
    testTimeout,
  );

  test(
    "an out-of-memory kill in python is reported",
    async () => {
      const box = name("debian-oom");
      const program = "x = []\nwhile True: x.append(bytearray(1 << 20))";
      const memory = wall === "container" ? "100m" : "200m";
      const result = await run([
        "--name",
        box,
        "--memory",
        memory,
        "debian-imported:12",
        "python3",
        "-c",
        program,
      ]);
      expect(result.code).toBe(137);
      expect((await inspect(box)).State.OOMKilled).toBe(true);
      await ok(["rm", box]);
    },
    testTimeout,
  );

  test(
    "an image of several layers, pushed by other tools, is pulled and run with its config",
    async () => {
      await ok(["pull", pulled], { timeoutMs: 200_000 });
      const plain = await run(["--rm", pulled]);
      expect(plain).toMatchObject({ code: 0, stdout: secondLayer.added.content });
      const script = `echo $GREETING; cat ${secondLayer.replaced.path}; test -e ${secondLayer.removed} || echo removed; ls -A /etc | grep -c wh`;
      const result = await run(["--rm", pulled, "sh", "-c", script]);
      expect(result.stdout).toBe(`hello\n${secondLayer.replaced.content}removed\n0\n`);
    },
    testTimeout,
  );
});
