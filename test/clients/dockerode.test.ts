/** dockerode, as Node programs use it, against Hull's socket. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { PassThrough, type Readable } from "node:stream";
import Docker from "dockerode";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { testTimeout, walls } from "../support/scenario.ts";
import { until } from "../support/until.ts";

let daemon: TestDaemon;
let docker: Docker;

beforeAll(async () => {
  daemon = await startDaemon();
  docker = new Docker({ socketPath: daemon.socket });
}, testTimeout);
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
}, testTimeout);

/** All that comes on a stream, as text. */
function collect(stream: Readable): { text(): string } {
  let text = "";
  stream.on("data", (data) => {
    text += String(data);
  });
  return { text: () => text };
}

/** A multiplexed stream's two halves. */
function demultiplex(stream: NodeJS.ReadableStream): {
  out: { text(): string };
  err: { text(): string };
  ended: Promise<void>;
} {
  const [out, err] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, out, err);
  const ended = new Promise<void>((resolve) => stream.on("end", () => resolve()));
  return { out: collect(out), err: collect(err), ended };
}

for (const wall of walls) {
  const hostConfig = { Isolation: wall, AutoRemove: false };

  describe(`dockerode, ${wall} wall`, () => {
    test(
      "create, attach with input, start, wait, logs, remove",
      async () => {
        const container = await docker.createContainer({
          Image: "hull/tiny",
          Cmd: ["sh", "-c", "read line; echo got $line; echo err >&2; exit 4"],
          OpenStdin: true,
          StdinOnce: true,
          AttachStdin: true,
          HostConfig: hostConfig,
        });
        const stream = await container.attach({
          stream: true,
          stdin: true,
          stdout: true,
          stderr: true,
          hijack: true,
        });
        const { out, err, ended } = demultiplex(stream);
        await container.start();
        stream.end("hello\n");
        expect(await container.wait()).toMatchObject({ StatusCode: 4 });
        await ended;
        expect(out.text()).toBe("got hello\n");
        expect(err.text()).toBe("err\n");
        const logs = await container.logs({ stdout: true, stderr: false });
        expect(logs.subarray(8).toString()).toBe("got hello\n");
        const inspected = await container.inspect();
        expect(inspected.State).toMatchObject({ Status: "exited", ExitCode: 4, Running: false });
        await container.remove();
        await expect(container.inspect()).rejects.toMatchObject({ statusCode: 404 });
      },
      testTimeout,
    );

    test(
      "exec with input, following logs, stop",
      async () => {
        const container = await docker.createContainer({
          Image: "hull/tiny",
          Cmd: ["sh", "-c", "echo one; trap 'echo two; exit 0' TERM; while :; do sleep 0.1; done"],
          HostConfig: hostConfig,
        });
        await container.start();
        const follow = await container.logs({ follow: true, stdout: true, stderr: true });
        const followed = demultiplex(follow);
        await until("the first line has come", () => followed.out.text() === "one\n");

        const exec = await container.exec({
          Cmd: ["sh", "-c", "cat; echo done >&2; exit 6"],
          AttachStdin: true,
          AttachStdout: true,
          AttachStderr: true,
        });
        const stream = await exec.start({ hijack: true, stdin: true });
        const { out, err, ended } = demultiplex(stream);
        stream.end("typed");
        await ended;
        expect(out.text()).toBe("typed");
        expect(err.text()).toBe("done\n");
        expect(await exec.inspect()).toMatchObject({ Running: false, ExitCode: 6 });

        await container.stop();
        await followed.ended;
        expect(followed.out.text()).toBe("one\ntwo\n");
        await container.remove();
      },
      testTimeout,
    );
  });
}

test(
  "events come as they happen, and lists are filtered",
  async () => {
    const events = await docker.getEvents({ filters: { type: ["container"] } });
    const seen = collect(events as Readable);
    const container = await docker.createContainer({
      Image: "hull/tiny",
      Cmd: ["true"],
      name: "seen",
      Labels: { a: "b" },
    });
    await container.start();
    await container.wait();
    expect(
      (await docker.listContainers({ all: true, filters: { label: ["a=b"] } })).map(({ Names }) => Names),
    ).toEqual([["/seen"]]);
    expect(await docker.listContainers({ all: true, filters: { label: ["a=c"] } })).toEqual([]);
    await container.remove();
    await until("the end has been told", () => seen.text().includes('"destroy"'));
    const actions = seen
      .text()
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { Action: string }).Action);
    expect(actions).toEqual(["create", "start", "die", "destroy"]);
    (events as Readable).destroy();
  },
  testTimeout,
);

test(
  "errors have Docker's statuses",
  async () => {
    await expect(docker.getContainer("nope").start()).rejects.toMatchObject({ statusCode: 404 });
    await expect(docker.createContainer({ Image: "hull/none" })).rejects.toMatchObject({ statusCode: 404 });
    const container = await docker.createContainer({ Image: "hull/tiny", name: "taken" });
    await expect(docker.createContainer({ Image: "hull/tiny", name: "taken" })).rejects.toMatchObject({
      statusCode: 409,
    });
    await expect(container.kill()).rejects.toMatchObject({ statusCode: 409 });
    await container.remove();
    expect((await docker.ping()).toString()).toBe("OK");
  },
  testTimeout,
);
