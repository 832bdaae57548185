/** Hosts on which the daemon, or one of its walls, cannot do its work: it says why and what to do. */
import { describe, expect, test } from "bun:test";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { type HullResult, hullProgram, runProgram, startDaemon } from "../support/daemon.ts";
import { mounted, scratch } from "../support/disks.ts";
import { findHalfMade } from "../support/half-made.ts";

const timeout = 120_000;

/** A daemon that is expected to refuse to start. */
async function refusal(...args: string[]): Promise<HullResult> {
  const result = await runProgram([hullProgram, "daemon", ...args], { timeoutMs: 30_000 });
  expect(result.code).toBe(1);
  expect(result.stderr.trimEnd().split("\n")).toHaveLength(1);
  return result;
}

function places(directory: string): string[] {
  return ["--root", `${directory}/root`, "--state", `${directory}/s`, "--socket", `${directory}/hull.sock`];
}

describe("a daemon does not start", () => {
  test(
    "beside another one on the same root, state or socket",
    async () => {
      await using daemon = await startDaemon();
      await using other = await scratch();
      const { root, state, socket } = daemon;
      const own = (name: string) => join(other.path, name);
      const sameRoot = await refusal("--root", root, "--state", own("s"), "--socket", own("sock"));
      expect(sameRoot.stderr).toContain(`another daemon uses ${root}`);
      const sameState = await refusal("--root", own("root"), "--state", state, "--socket", own("sock"));
      expect(sameState.stderr).toContain(`another daemon uses ${state}`);
      const sameSocket = await refusal("--root", own("root"), "--state", own("s"), "--socket", socket);
      expect(sameSocket.stderr).toContain(`another daemon listens on ${socket}`);
      expect(await daemon.ping()).toBe(true);
    },
    timeout,
  );

  test("on a root that cannot be written to", async () => {
    await using directory = await scratch();
    const file = join(directory.path, "file");
    await writeFile(file, "");
    const below = await refusal(...places(directory.path).with(1, `${file}/root`));
    expect(below.stderr).toContain(`cannot write to ${file}/root`);
    await using readOnly = await mounted("-t", "tmpfs", "-o", "ro,size=1m", "hull-test");
    const unwritable = await refusal(...places(directory.path).with(1, readOnly.path));
    expect(unwritable.stderr).toContain(`cannot write to ${readOnly.path}`);
  });

  test("with a configuration that is no JSON, has an unknown key or a wrong value", async () => {
    await using directory = await scratch();
    const file = join(directory.path, "config.json");
    const config = ["--config", file, ...places(directory.path)];
    await writeFile(file, '{"root": ');
    expect((await refusal(...config)).stderr).toContain(`the configuration file ${file} is corrupt`);
    await writeFile(file, '{"vm": {"requireKVM": true}}');
    expect((await refusal(...config)).stderr).toContain("vm.requireKVM");
    await writeFile(file, '{"logLevel": "loud"}');
    expect((await refusal(...config)).stderr).toContain("logLevel");
    await writeFile(file, '{"root": "relative"}');
    expect((await refusal("--config", file)).stderr).toContain("absolute path");
    await rm(file);
    expect((await refusal(...config)).stderr).toContain(file);
  });

  test("on records that are no database, and names the file", async () => {
    await using directory = await scratch();
    await mkdir(join(directory.path, "root"));
    await writeFile(join(directory.path, "root/state.db"), "not a database\n".repeat(1000));
    const result = await refusal(...places(directory.path));
    expect(result.stderr).toContain(`${directory.path}/root/state.db`);
    expect(result.stderr).toContain("move it away");
  });

  test("on a socket path that is a file, or too long", async () => {
    await using directory = await scratch();
    const file = join(directory.path, "hull.sock");
    await writeFile(file, "precious");
    expect((await refusal(...places(directory.path))).stderr).toContain(file);
    expect(await Bun.file(file).text()).toBe("precious");
    const long = join(directory.path, "x".repeat(100));
    expect((await refusal(...places(directory.path).with(5, long))).stderr).toContain("limit of 107");
  });
});

describe("a daemon starts", () => {
  test(
    "over the socket that a dead one left",
    async () => {
      await using daemon = await startDaemon();
      await daemon.kill9();
      expect(await readdir(daemon.directory)).toContain("hull.sock");
      await daemon.start();
      expect(await daemon.hullOk(["run", "--rm", "hull/tiny", "echo", "on"])).toBe("on");
    },
    timeout,
  );

  test("and its socket is root's alone", async () => {
    await using daemon = await startDaemon();
    const { stdout } = await runProgram(["stat", "-c", "%a %u %g", daemon.socket]);
    expect(stdout).toBe("660 0 0\n");
  });

  test("and says so to the service manager", async () => {
    // A datagram socket, which Bun has none of: socat is the service manager here, when it is installed.
    await using directory = await scratch();
    const server = createServer().listen(join(directory.path, "stream"));
    await using daemon = await startDaemon({ env: { NOTIFY_SOCKET: join(directory.path, "stream") } });
    // A socket of the wrong kind is reported, and the daemon serves all the same.
    expect(await daemon.ping()).toBe(true);
    expect(daemon.log).toContain("could not tell the service manager");
    server.close();
  });
});

describe("a wall that cannot be used says what is missing", () => {
  test(
    "no QEMU, no guest kernel, no monitor, no runtime",
    async () => {
      await using empty = await scratch();
      const cases = [
        { config: { vm: { qemu: "/no/qemu" } }, wall: "vm", words: "qemu" },
        { config: { vm: { guest: empty.path } }, wall: "vm", words: "vmlinu" },
        { config: { container: { conmon: "/no/conmon" } }, wall: "container", words: "conmon" },
        { config: { container: { runtime: "/no/crun" } }, wall: "container", words: "/no/crun" },
      ];
      for (const { config, wall, words } of cases) {
        await using daemon = await startDaemon({ config });
        const result = await daemon.hull(["run", "--isolation", wall, "hull/tiny", "true"]);
        expect(result.code).toBe(125);
        expect(result.stderr.toLowerCase()).toContain(words);
        expect(result.stderr).toMatch(/apt-get install|\.\/setup/);
        expect(await daemon.hullOk(["ps", "-aq"])).toBe("");
        expect(await findHalfMade(daemon)).toEqual([]);
        const doctor = await daemon.hull(["doctor"]);
        expect(doctor.code).toBe(wall === "container" ? 1 : 0);
        expect(doctor.stdout.toLowerCase()).toContain(words);
      }
    },
    timeout,
  );
});
