/** The real docker command line, unmodified, against Hull's socket. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HullOptions, runProgram, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { startRegistry } from "../support/registry.ts";
import { testTimeout, walls } from "../support/scenario.ts";
import { openTerminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

let daemon: TestDaemon;
let directory = "";

beforeAll(async () => {
  daemon = await startDaemon();
  directory = await mkdtemp(join(tmpdir(), "hull-docker-"));
}, testTimeout);
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
  await daemon[Symbol.asyncDispose]();
}, testTimeout);

const docker = (args: readonly string[], options?: HullOptions) => daemon.docker(args, options);

async function ok(args: readonly string[], options?: HullOptions): Promise<string> {
  const result = await docker(args, options);
  if (result.code !== 0)
    throw new Error(
      `docker ${args.join(" ")} ended with ${result.code}: ${result.stderr}\n${daemon.log.slice(-2000)}`,
    );
  return result.stdout.trimEnd();
}

test(
  "of a dozen short runs at once, every one prints what it has to say",
  async () => {
    const numbers = Array.from({ length: 12 }, (_, index) => String(index));
    for (let round = 0; round < 2; round++) {
      const results = await Promise.all(
        numbers.map((number) => docker(["run", "--rm", "hull/tiny", "echo", number])),
      );
      expect(results.map(({ stdout }) => stdout)).toEqual(numbers.map((number) => `${number}\n`));
    }
  },
  testTimeout,
);

test("what Hull has none of is listed as empty, pruned without effect, and not made", async () => {
  expect(await ok(["volume", "ls", "--quiet"])).toBe("");
  expect(await ok(["network", "ls", "--format", "{{.Name}}"])).toBe("bridge\nhost\nnone");
  expect(await ok(["volume", "prune", "--force"])).toContain("0B");
  expect((await docker(["swarm", "init"])).stderr).toContain("is not supported");
});

for (const wall of walls) {
  const run = (args: readonly string[], options?: HullOptions) =>
    docker(["run", "--rm", "--isolation", wall, ...args], options);

  describe(`docker, ${wall} wall`, () => {
    test(
      "run feeds standard input to its end and keeps the outputs apart",
      async () => {
        const cat = await run(["-i", "hull/tiny", "cat"], { stdin: "one\ntwo" });
        expect(cat).toMatchObject({ code: 0, stdout: "one\ntwo" });
        const both = await run(["hull/tiny", "sh", "-c", "echo out; echo err >&2; exit 42"]);
        expect(both).toMatchObject({ code: 42, stdout: "out\n" });
        expect(both.stderr).toEndWith("err\n");
      },
      testTimeout,
    );

    test(
      "a command that is not there ends with 127, one that cannot be run with 126",
      async () => {
        expect((await run(["hull/tiny", "nosuch"])).code).toBe(127);
        expect((await run(["hull/tiny", "/etc"])).code).toBe(126);
      },
      testTimeout,
    );

    test(
      "a workload in the background is listed, inspected, looked into, stopped and removed",
      async () => {
        const name = `box-${wall}`;
        const script = "echo started; trap 'exit 3' TERM; while :; do sleep 0.1; done";
        const labels = ["--label", "role=test", "-e", "A=b"];
        const id = await ok([
          "run",
          "-d",
          "--name",
          name,
          "--isolation",
          wall,
          ...labels,
          "hull/tiny",
          "sh",
          "-c",
          script,
        ]);
        expect(id).toMatch(/^[0-9a-f]{64}$/);
        expect(await ok(["ps", "--format", "{{.Names}} {{.State}}", "--filter", `name=${name}`])).toBe(
          `${name} running`,
        );
        expect(await ok(["ps", "-q", "--no-trunc", "--filter", "label=role=test"])).toContain(id);
        expect(await ok(["inspect", "-f", "{{.State.Running}} {{.HostConfig.Isolation}}", name])).toBe(
          `true ${wall}`,
        );
        await until("the output is in the log", async () => (await ok(["logs", name])).includes("started"));

        const exec = await docker(["exec", "-i", "-e", "C=d", name, "sh", "-c", "echo $A$C; cat; exit 5"], {
          stdin: "in",
        });
        expect(exec).toMatchObject({ code: 5, stdout: "bd\nin" });
        expect((await docker(["exec", name, "nosuch"])).code).toBe(127);
        expect(await ok(["top", name])).toContain("sh");
        expect(await ok(["stats", "--no-stream", "--format", "{{.Name}}", name])).toBe(name);

        const waiting = docker(["wait", name]);
        await ok(["stop", name]);
        expect(await waiting).toMatchObject({ code: 0, stdout: "3\n" });
        expect(await ok(["ps", "-a", "--format", "{{.Status}}", "--filter", `name=${name}`])).toStartWith(
          "Exited (3)",
        );
        await ok(["rm", name]);
        expect((await docker(["inspect", name])).code).toBe(1);
      },
      testTimeout,
    );

    test(
      "run -it is a terminal that can be detached from and attached to",
      async () => {
        const name = `tty-${wall}`;
        const command = ["docker", "-H", daemon.dockerHost];
        const first = openTerminal([
          ...command,
          "run",
          "-it",
          "--name",
          name,
          "--isolation",
          wall,
          "hull/tiny",
          "sh",
        ]);
        try {
          first.type("tty && echo one$((1+1))\n");
          await first.waitFor(/one2/);
          first.type("\x10\x11");
          expect(await first.exited).toBe(0);
        } finally {
          first.close();
        }
        expect(await ok(["inspect", "-f", "{{.State.Status}}", name])).toBe("running");
        const second = openTerminal([...command, "attach", name]);
        try {
          second.type("echo two$((1+1)); exit 9\n");
          await second.waitFor(/two2/);
          expect(await second.exited).toBe(9);
        } finally {
          second.close();
        }
        await ok(["rm", name]);
      },
      testTimeout,
    );
  });
}

describe("docker and images", () => {
  test(
    "import, tag, list, inspect, history and remove",
    async () => {
      const tar = await runProgram(["tar", "c", "-C", "/bin", "busybox"]);
      const id = (
        await docker(["import", "-c", 'CMD ["/busybox", "true"]', "-", "made:one"], {
          stdin: tar.stdoutBytes,
        })
      ).stdout.trim();
      expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
      await ok(["tag", "made:one", "made:two"]);
      expect(
        (await ok(["images", "--format", "{{.Repository}}:{{.Tag}}", "made"])).split("\n").sort(),
      ).toEqual(["made:one", "made:two"]);
      expect(await ok(["image", "inspect", "-f", "{{json .Config.Cmd}}", "made:one"])).toBe(
        '["/busybox","true"]',
      );
      expect(await ok(["run", "--rm", "made:two", "/busybox", "echo", "hi"])).toBe("hi");
      expect((await ok(["history", "-q", "made:one"])).split("\n").length).toBe(1);
      await ok(["rmi", "made:one", "made:two"]);
      expect(await ok(["images", "-q", "made"])).toBe("");
    },
    testTimeout,
  );

  test(
    "an image from a registry is pulled, run and loaded from an archive",
    async () => {
      await using registry = await startRegistry();
      const archive = join(directory, "oci.tar");
      const layout = join(directory, "layout");
      await makeLayout(layout);
      await registry.push(layout, "tag", "some/image:1");
      const reference = `${registry.host}/some/image:1`;
      expect(await ok(["pull", reference])).toContain(reference);
      expect(await ok(["run", "--rm", reference])).toBe("from the registry");
      await ok(["rmi", reference]);
      // Not there any more: run pulls it by itself.
      expect(await ok(["run", "--rm", reference])).toBe("from the registry");
      expect((await docker(["pull", `${registry.host}/some/image:nope`])).code).toBe(1);

      const copy = ["skopeo", "copy", "--quiet", "--insecure-policy", `oci:${layout}:tag`];
      const made = await runProgram([...copy, `docker-archive:${archive}:loaded:1`]);
      expect(made.code).toBe(0);
      expect(await ok(["load", "-i", archive])).toContain("Loaded image: loaded:1");
      expect(await ok(["run", "--rm", "loaded:1"])).toBe("from the registry");
    },
    testTimeout,
  );

  test(
    "an image that is nowhere is an error of docker's own",
    async () => {
      const result = await docker(["run", "--rm", "127.0.0.1:1/none/such"]);
      expect(result.code).toBe(125);
      expect(result.stderr).toContain("127.0.0.1:1");
    },
    testTimeout,
  );
});

test("docker's volumes: made, mounted, copied into, listed and removed", async () => {
  await ok(["volume", "create", "--label", "a=b", "dockers"]);
  await ok([
    "run",
    "--name",
    "writer",
    "-v",
    "dockers:/data",
    "--tmpfs",
    "/x",
    "hull/tiny",
    "touch",
    "/data/made",
  ]);
  expect(
    await ok(["run", "--rm", "--mount", "source=dockers,target=/d,readonly", "hull/tiny", "ls", "/d"]),
  ).toContain("made");
  expect(await ok(["volume", "ls", "--filter", "label=a", "--format", "{{.Name}}"])).toContain("dockers");
  expect((await docker(["volume", "rm", "dockers"])).stderr).toContain("volume is in use");
  await ok(["rm", "writer"]);
  await ok(["volume", "rm", "dockers"]);
  expect(await ok(["volume", "ls", "-q"])).not.toContain("dockers");
});

describe("docker and the system", () => {
  test(
    "info and version name Hull and its API",
    async () => {
      expect(await ok(["version", "--format", "{{.Server.Platform.Name}} {{.Server.APIVersion}}"])).toMatch(
        /^Hull 1\.\d+$/,
      );
      expect(await ok(["info", "--format", "{{.OSType}} {{.ContainersRunning}}"])).toBe("linux 0");
      expect((await docker(["info"])).stdout).toContain("Server Version");
      expect(await ok(["system", "df", "--format", "{{.Type}}"])).toContain("Images");
    },
    testTimeout,
  );

  test(
    "events tell a workload's life in order",
    async () => {
      const since = String(Math.floor(Date.now() / 1000));
      await ok(["run", "--rm", "--name", "told", "hull/tiny", "true"]);
      const until_ = String(Math.ceil(Date.now() / 1000) + 1);
      const filters = ["--filter", "container=told", "--format", "{{.Action}}"];
      const actions = (await ok(["events", "--since", since, "--until", until_, ...filters])).split("\n");
      expect(actions).toEqual(
        ["create", "attach", "start", "die", "destroy"].filter((action) => actions.includes(action)),
      );
      expect(actions).toContain("create");
      expect(actions).toContain("start");
      expect(actions).toContain("die");
      expect(actions).toContain("destroy");
      const ofNetworks = ["--filter", "network=bridge", "--format", "{{.Action}}"];
      expect(await ok(["events", "--since", since, "--until", until_, ...ofNetworks])).toMatch(
        /^connect\ndisconnect$/m,
      );
    },
    testTimeout,
  );

  test(
    "what Hull does not support is refused, not ignored",
    async () => {
      const result = await docker(["run", "--rm", "--isolation", "mainframe", "hull/tiny", "true"]);
      expect(result.code).toBe(125);
      expect(result.stderr).toContain("container, vm");
    },
    testTimeout,
  );
});

/** An OCI layout with one image that says where it is from. */
async function makeLayout(layout: string): Promise<void> {
  const script = `
    set -e
    umoci init --layout "$1"
    umoci new --image "$1:tag"
    umoci insert --image "$1:tag" /bin/busybox /bin/busybox
    umoci config --image "$1:tag" --config.cmd /bin/busybox --config.cmd echo --config.cmd "from the registry"
  `;
  const path = join(directory, "layout.sh");
  await writeFile(path, script);
  const result = await runProgram(["sh", path, layout]);
  if (result.code !== 0) throw new Error(`umoci failed: ${result.stderr}`);
}
