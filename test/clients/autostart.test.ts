/** Commands that find no daemon start one. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hullProgram, runProgram } from "../support/daemon.ts";
import { killLeftovers } from "../support/leftovers.ts";
import { testTimeout } from "../support/scenario.ts";
import { until } from "../support/until.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "a-"));
});
afterEach(async () => {
  await killLeftovers(directory);
  await rm(directory, { recursive: true, force: true });
});

function hull(...args: string[]) {
  return runProgram([
    hullProgram,
    "--root",
    join(directory, "root"),
    "--state",
    join(directory, "s"),
    ...args,
  ]);
}

function refusesConnections(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("error", () => resolve(true));
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
  });
}

/** Daemons of this test, by their command lines. */
async function daemons(): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir("/proc")) {
    const command = await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "");
    if (command.includes("\0daemon\0") && command.includes(`${directory}/root`)) found.push(Number(entry));
  }
  return found;
}

test(
  "commands that start at once start one daemon, which later ones use",
  async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => hull("ps", "-q")));
    for (const answer of answers) expect(answer).toMatchObject({ code: 0, stdout: "", stderr: "" });
    // Those that lost the race end as soon as they find the lock taken.
    await until("one daemon is left", async () => (await daemons()).length === 1);
    const survivor = await daemons();
    expect((await hull("info", "--format", "{{.Containers}}")).stdout).toBe("0\n");
    expect(await daemons()).toEqual(survivor);
  },
  testTimeout,
);

test(
  "a socket that a dead daemon left is taken over",
  async () => {
    expect((await hull("ps")).code).toBe(0);
    for (const pid of await daemons()) process.kill(pid, "SIGKILL");
    // A process that is ending has no command line any more, and for a moment still its sockets.
    await until("nobody listens any more", () => refusesConnections(join(directory, "s", "hull.sock")));
    expect(await readdir(join(directory, "s"))).toContain("hull.sock");
    expect(await hull("ps", "-q")).toMatchObject({ code: 0, stderr: "" });
  },
  testTimeout,
);

test(
  "a daemon that cannot start says why, in one line",
  async () => {
    const config = join(directory, "config.json");
    await writeFile(config, '{"sockte": "x"}');
    const misspelt = await hull("--config", config, "ps");
    expect(misspelt.code).toBe(1);
    expect(misspelt.stderr).toMatch(/^hull: cannot start the hull daemon: .*sockte.*\n$/);

    const unwritable = await runProgram([
      hullProgram,
      "--root",
      "/proc/x",
      "--state",
      join(directory, "s"),
      "ps",
    ]);
    expect(unwritable.code).toBe(1);
    expect(unwritable.stderr).toMatch(
      /^hull: cannot start the hull daemon: cannot write to \/proc\/x: .*\n$/,
    );
    expect(await daemons()).toEqual([]);
  },
  testTimeout,
);

test(
  "a root that another daemon has is not taken, and its daemon is named as the reason",
  async () => {
    expect((await hull("ps")).code).toBe(0);
    const root = join(directory, "root");
    const second = await runProgram([hullProgram, "--root", root, "--state", join(directory, "t"), "ps"]);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`another daemon uses ${root}`);
  },
  testTimeout,
);

test(
  "a socket on which something else answers is an error, and no daemon is started",
  async () => {
    const socket = join(directory, "other.sock");
    const server = createServer((connection) => connection.end("SSH-2.0-other\r\n"));
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    try {
      const answer = await hull("--socket", socket, "ps");
      expect(answer.code).toBe(1);
      expect(answer.stderr).toMatch(/^hull: the daemon's answer .*\n$/);
      expect(await daemons()).toEqual([]);
    } finally {
      server.close();
    }
  },
  testTimeout,
);
