/** The API over a real socket, with the engine on fakes: what Docker's clients rely on. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Server } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { ContainerSummary, ImageSummary, SystemDiskUsage, SystemInfo } from "../../contract/docker.ts";
import { silentLogger } from "../../contract/logger.ts";
import { EngineBench } from "../../engine/testing/engine-bench.ts";
import { parseConfig } from "../../image/config.ts";
import { createApiServer } from "../server.ts";
import { dockerRoutes } from "./routes.ts";
import { commonHeaders } from "./system.ts";

let bench: EngineBench;
let server: Server;
let socketPath: string;
/** What the server had to say of errors. */
const logged: unknown[] = [];

beforeEach(async () => {
  bench = await EngineBench.open();
  const facts = { version: "1.2.3", id: "test" };
  const routes = dockerRoutes(bench.engine, facts);
  logged.length = 0;
  const log = {
    ...silentLogger,
    error: (message: string, fields = {}) => void logged.push({ message, ...fields }),
  };
  server = createApiServer({ routes, headers: commonHeaders(facts), log });
  socketPath = join(bench.directory, "api.sock");
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
});
afterEach(async () => {
  server.close();
  server.closeAllConnections();
  await bench[Symbol.asyncDispose]();
});

async function call(method: string, path: string, body?: unknown): Promise<Response> {
  return await fetch(`http://hull${path}`, {
    unix: socketPath,
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
}

async function create(command: string, more: Record<string, unknown> = {}): Promise<string> {
  const response = await call("POST", "/v1.47/containers/create", {
    Image: "some/image",
    Cmd: command.split(" "),
    ...more,
  });
  expect(response.status).toBe(201);
  return (await read<{ Id: string }>(response)).Id;
}

const post = (path: string, body?: unknown) => call("POST", path, body);

/** The answer as what the wire types say it is: what it really is, the tests look at. */
async function read<T>(response: Response): Promise<T> {
  const value: unknown = await response.json();
  return value as T;
}

async function json<T = unknown>(path: string): Promise<T> {
  return await read<T>(await call("GET", path));
}

/** A connection that is taken over, as Docker's clients do it. */
class Hijacked {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  readonly closed: Promise<void>;

  constructor(request: string) {
    this.socket = connect({ path: socketPath, allowHalfOpen: true });
    this.socket.on("data", (data: Buffer) => {
      this.#received = Buffer.concat([this.#received, data]);
    });
    this.closed = new Promise((resolve) => this.socket.on("end", resolve));
    this.socket.write(request);
  }

  static upgrade(path: string, body = ""): Hijacked {
    const head = [
      `POST ${path} HTTP/1.1`,
      "Host: docker",
      "Connection: Upgrade",
      "Upgrade: tcp",
      "Content-Type: application/json",
      `Content-Length: ${body.length}`,
    ];
    return new Hijacked(`${head.join("\r\n")}\r\n\r\n${body}`);
  }

  /** Head and body of the answer so far. */
  get answer(): { head: string; body: Buffer } {
    const end = this.#received.indexOf("\r\n\r\n");
    return end < 0
      ? { head: "", body: Buffer.alloc(0) }
      : { head: this.#received.subarray(0, end).toString(), body: this.#received.subarray(end + 4) };
  }

  async head(): Promise<string> {
    while (this.answer.head === "") await new Promise((resolve) => this.socket.once("data", resolve));
    return this.answer.head;
  }

  /** The payloads of the frames of one stream, once the connection has ended. */
  async text(stream: number): Promise<string> {
    await this.closed;
    this.socket.destroy();
    const { body } = this.answer;
    const parts: Buffer[] = [];
    for (let offset = 0; offset < body.length; ) {
      const size = body.readUInt32BE(offset + 4);
      if (body[offset] === stream) parts.push(body.subarray(offset + 8, offset + 8 + size));
      offset += 8 + size;
    }
    return Buffer.concat(parts).toString();
  }
}

describe("system", () => {
  test("ping says the version, with and without a body", async () => {
    const get = await call("GET", "/_ping");
    expect(await get.text()).toBe("OK");
    const head = await call("HEAD", "/_ping");
    for (const { headers } of [get, head]) {
      expect(headers.get("api-version")).toBe("1.47");
      expect(headers.get("ostype")).toBe("linux");
      expect(headers.get("docker-experimental")).toBe("false");
    }
  });

  test("version and info", async () => {
    expect(await json("/v1.24/version")).toMatchObject({ ApiVersion: "1.47", MinAPIVersion: "1.24" });
    await create("sleep");
    const info = await json<SystemInfo>("/info");
    expect(info).toMatchObject({ Containers: 1, ContainersStopped: 1, Images: 1, OSType: "linux" });
    expect(info.Hull.Walls.map(({ Label }) => Label)).toEqual(["container", "vm (tcg)"]);
    expect(info.Plugins).toMatchObject({ Network: ["bridge", "host", "null"] });
    expect(info.Warnings?.join()).not.toContain("loopback");
    bench.networks.missing = "nft is not installed";
    expect((await json<SystemInfo>("/info")).Warnings?.join()).toContain("nft is not installed");
  });

  test("no container and no figures wait until it is known what virtual machines run on", async () => {
    bench.walls.vm.trying = true;
    expect(await json("/containers/json?all=1")).toEqual([]);
    const id = await create("sleep");
    expect((await post(`/containers/${id}/start`)).status).toBe(204);
    expect(await json("/containers/json")).toHaveLength(1);
    expect(await json(`/containers/${id}/json`)).toMatchObject({ State: { Running: true } });
    expect(await json("/system/df")).toMatchObject({ Containers: [{ Id: id }] });
    const { Hull, Warnings } = await json<SystemInfo>("/info");
    expect(Hull.Walls.map(({ Label }) => Label)).toEqual(["container", "vm (untried)"]);
    expect(Warnings).toContain("not tried yet");
  });

  test("what there is none of is listed as empty, the rest is refused with a reason", async () => {
    expect(await json("/plugins")).toEqual([]);
    const refused = await post("/swarm/init", {});
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain("a Hull daemon works for itself, without a swarm");
  });

  test("what nothing acts on is refused by name, in commits and volumes too", async () => {
    const id = await create("sleep");
    const Healthcheck = { Test: ["CMD", "true"] };
    const commit = await post(`/commit?container=${id}`, { Healthcheck });
    expect(commit.status).toBe(400);
    expect(await commit.text()).toContain("health checks are not run");
    const volume = await post("/volumes/create", { Name: "some", ClusterVolumeSpec: { Group: "x" } });
    expect(volume.status).toBe(400);
    expect(await volume.text()).toContain("ClusterVolumeSpec");
  });

  test("a build's arguments do not come into the log when it fails", async () => {
    const query = `buildargs=${encodeURIComponent('{"TOKEN":"secret"}')}`;
    expect((await call("POST", `/build?${query}`)).status).toBe(500);
    expect(JSON.stringify(logged)).toContain('"POST /build"');
    expect(JSON.stringify(logged)).not.toContain("secret");
  });

  test("disk usage counts every layer once", async () => {
    await create("sleep");
    const usage = await json<SystemDiskUsage>("/system/df");
    expect(usage).toMatchObject({ LayersSize: 4096, Volumes: [], BuildCache: [] });
    expect(usage.Containers).toHaveLength(1);
    const some = await json("/system/df?type=volume&type=build-cache");
    expect(some).toEqual({ LayersSize: 0, Images: null, Containers: null, Volumes: [], BuildCache: [] });
    expect((await call("GET", "/system/df?type=network")).status).toBe(400);
  });
});

describe("containers", () => {
  test("a vm wall's warning comes with the create", async () => {
    const body = { Image: "some/image", Cmd: ["sleep"], HostConfig: { Isolation: "vm" } };
    expect(await (await post("/containers/create", body)).json()).toMatchObject({ Warnings: ["emulated"] });
  });

  test("a life: create, start, inspect, list, stop, remove", async () => {
    const id = await create("sleep", { Labels: { tier: "front" }, Tty: true, HostConfig: { Memory: 7e6 } });
    expect((await post(`/containers/${id}/start`)).status).toBe(204);
    expect((await post(`/containers/${id}/start`)).status).toBe(304);
    expect(await json(`/containers/${id}/json`)).toMatchObject({
      Id: id,
      Path: "sleep",
      State: { Status: "running", Running: true, Pid: 4242, ExitCode: 0, Error: "" },
      HostConfig: { Isolation: "container", Memory: 7e6, NetworkMode: "default" },
      Config: { Tty: true, Labels: { tier: "front" }, Image: "some/image", Cmd: ["sleep"] },
      Hull: { Wall: "container", Suspended: false },
    });
    const [row] = await json<ContainerSummary[]>("/containers/json");
    expect(row).toMatchObject({ Id: id, Command: "sleep", State: "running" });
    expect(row?.Status).toStartWith("Up ");
    expect((await post(`/containers/${id}/stop?t=0`)).status).toBe(204);
    expect((await post(`/containers/${id}/stop?t=0`)).status).toBe(304);
    expect(await json("/containers/json")).toEqual([]);
    expect((await json<ContainerSummary[]>("/containers/json?all=1"))[0]?.Status).toStartWith("Exited (143)");
    expect((await call("DELETE", `/containers/${id}`)).status).toBe(204);
    expect((await call("GET", `/containers/${id}/json`)).status).toBe(404);
  });

  test("a running one is not removed without force", async () => {
    const id = await create("sleep");
    await post(`/containers/${id}/start`);
    const refused = await call("DELETE", `/containers/${id}`);
    expect(refused.status).toBe(409);
    expect(await refused.json()).toMatchObject({ code: "workloadRunning" });
    expect((await call("DELETE", `/containers/${id}?force=1`)).status).toBe(204);
  });

  test("list filters", async () => {
    const web = await create("sleep", { Labels: { tier: "front" } });
    const back = await create("sleep", { HostConfig: { Isolation: "vm" } });
    await post(`/containers/${web}/start`);
    const ids = async (filters: unknown) => {
      const rows = await json<ContainerSummary[]>(
        `/containers/json?all=1&filters=${encodeURIComponent(JSON.stringify(filters))}`,
      );
      return rows.map(({ Id }) => Id);
    };
    expect(await ids({ label: ["tier=front"] })).toEqual([web]);
    expect(await ids({ label: { tier: true } })).toEqual([web]);
    expect(await ids({ status: ["created"] })).toEqual([back]);
    expect(await ids({ isolation: ["vm"] })).toEqual([back]);
    expect(await ids({ id: [web.slice(0, 6)] })).toEqual([web]);
    await post(`/containers/${web}/rename?name=front-1`);
    expect(await ids({ name: ["^/front-[0-9]$"] })).toEqual([web]);
    expect(await ids({ name: ["nobody", "t-1$"] })).toEqual([web]);
    expect(await ids({ ancestor: ["some/image"] })).toEqual([back, web]);
    expect(await ids({ before: [back] })).toEqual([web]);
    expect(await json("/containers/json?limit=1")).toHaveLength(1);
    expect(await ids({ status: ["dead"] })).toEqual([]);
    for (const wrong of ['{"status":["up"]}', '{"name":["("]}'])
      expect((await call("GET", `/containers/json?filters=${encodeURIComponent(wrong)}`)).status).toBe(400);
    // A runtime's own expression takes hours for this one.
    const many = encodeURIComponent(JSON.stringify({ reference: [`${"*m".repeat(20)}*x`, "*ome/im?ge"] }));
    expect(await json<unknown[]>(`/images/json?filters=${many}`)).toHaveLength(1);
  });

  test("lists show words with spaces in quotes, as Docker does", async () => {
    await post("/v1.47/containers/create", { Image: "some/image", Cmd: ["sh", "-c", "a b", "c"] });
    expect(await json("/containers/json?all=1")).toMatchObject([{ Command: "sh -c 'a b' c" }]);
  });

  test("list filters by health and tasks, of which there are none", async () => {
    const id = await create("sleep");
    const ask = (filters: Record<string, string[]>) =>
      call("GET", `/containers/json?all=1&filters=${encodeURIComponent(JSON.stringify(filters))}`);
    const listed = async (filters: Record<string, string[]>): Promise<string[]> =>
      (await read<ContainerSummary[]>(await ask(filters))).map(({ Id }) => Id);
    expect(await listed({ health: ["none"], "is-task": ["false"] })).toEqual([id]);
    expect(await listed({ health: ["healthy"] })).toEqual([]);
    expect(await listed({ "is-task": ["true"] })).toEqual([]);
    for (const wrong of [{ publish: ["http"] }, { health: ["well"] }, { "is-task": ["x"] }])
      expect((await ask(wrong)).status).toBe(400);
  });

  test("the restart policy is updated, limits are refused", async () => {
    const id = await create("sleep");
    const update = (body: unknown) => post(`/containers/${id}/update`, body);
    // As the docker command sends it: all the limits are there.
    const none = { Memory: 0, NanoCpus: 0, CpusetCpus: "", BlkioWeightDevice: null, PidsLimit: null };
    const wanted = { Name: "on-failure", MaximumRetryCount: 2 };
    expect((await update({ ...none, RestartPolicy: wanted })).status).toBe(200);
    expect(await json(`/containers/${id}/json`)).toMatchObject({ HostConfig: { RestartPolicy: wanted } });
    for (const refused of [{}, none, { ...none, Memory: 1e9 }, { RestartPolicy: { Name: "maybe" } }])
      expect((await update(refused)).status).toBe(400);
    const passing = await create("sleep", { HostConfig: { AutoRemove: true } });
    const always = await post(`/containers/${passing}/update`, { RestartPolicy: { Name: "always" } });
    expect(always.status).toBe(409);
    await bench.comeBack();
    const { restart } = bench.engine.find(id).record.request;
    expect(restart).toEqual({ name: "on-failure", maximumRetryCount: 2 });
  });

  test("wait answers its head at once, and its body at the end", async () => {
    const id = await create("sleep");
    const waiting = await post(`/containers/${id}/wait?condition=next-exit`);
    expect(waiting.status).toBe(200);
    await post(`/containers/${id}/start`);
    await post(`/containers/${id}/kill?signal=INT`);
    expect(await waiting.json()).toEqual({ StatusCode: 130 });
  });

  test("wait for what was lost says so", async () => {
    const id = await create("lost");
    const waiting = await post(`/containers/${id}/wait?condition=next-exit`);
    await post(`/containers/${id}/start`);
    expect(await waiting.json()).toMatchObject({ Error: { Message: expect.stringContaining("monitor") } });
  });

  test("top, one-shot stats, rename, pause, prune", async () => {
    const id = await create("sleep");
    await post(`/containers/${id}/start`);
    expect(await json(`/containers/${id}/top`)).toMatchObject({ Processes: [["1", "0", "root", "sleep"]] });
    const stats = await json(`/containers/${id}/stats?stream=0&one-shot=1`);
    expect(stats).toMatchObject({ id, pids_stats: { current: 1 }, memory_stats: { usage: 1024 } });
    expect((await post(`/containers/${id}/rename?name=other`)).status).toBe(204);
    expect((await post("/containers/other/pause")).status).toBe(204);
    expect((await post("/containers/other/unpause")).status).toBe(204);
    expect((await call("GET", "/containers/other/top?ps_args=-ef")).status).toBe(200);
    expect((await call("GET", "/containers/other/top?ps_args=aux")).status).toBe(400);
    const idle = await create("sleep");
    expect(await (await post("/containers/prune")).json()).toMatchObject({ ContainersDeleted: [idle] });
  });
});

test("a filter that is true or false is nothing else: a prune by another word removes nothing", async () => {
  const asked = (word: string) => `filters=${encodeURIComponent(JSON.stringify({ dangling: [word] }))}`;
  expect((await post(`/images/prune?${asked("TRUE")}`)).status).toBe(400);
  for (const path of ["/images/json", "/volumes", "/networks"]) {
    expect((await call("GET", `${path}?${asked("true")}`)).status).toBe(200);
    expect((await call("GET", `${path}?${asked("yes")}`)).status).toBe(400);
  }
});

test("a prune goes on past images that somebody else has removed", async () => {
  bench.images.gone = true;
  const response = await post(`/images/prune?filters=${encodeURIComponent('{"dangling":["false"]}')}`);
  expect(await response.json()).toMatchObject({ ImagesDeleted: [] });
});

describe("streams", () => {
  test("attach before the start: the first byte arrives, both ways end by themselves", async () => {
    const id = await create("cat", { OpenStdin: true, StdinOnce: true });
    const stream = Hijacked.upgrade(`/v1.47/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`);
    expect(await stream.head()).toBe(
      "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp",
    );
    stream.socket.write("to be ");
    await post(`/containers/${id}/start`);
    stream.socket.end("echoed");
    expect(await stream.text(1)).toBe("to be echoed");
    expect(await (await post(`/containers/${id}/wait`)).json()).toEqual({ StatusCode: 0 });
  });

  test("megabytes go through, both ways", async () => {
    const id = await create("cat", { OpenStdin: true, StdinOnce: true });
    const stream = Hijacked.upgrade(`/containers/${id}/attach?stream=1&stdin=1&stdout=1`);
    await stream.head();
    await post(`/containers/${id}/start`);
    stream.socket.end("0123456789".repeat(500_000));
    expect((await stream.text(1)).length).toBe(5_000_000);
  });

  test("attach without an upgrade is an answer that goes on", async () => {
    const id = await create("echo hello");
    const response = await post(`/containers/${id}/attach?stream=1&stdout=1`);
    await post(`/containers/${id}/start`);
    const bytes = await response.bytes();
    expect(Buffer.from(bytes.subarray(8)).toString()).toBe("hello\n");
  });

  test("a client that leaves lets go, and the program goes on", async () => {
    const id = await create("sleep");
    const stream = Hijacked.upgrade(`/containers/${id}/attach?stream=1&stdout=1`);
    await stream.head();
    const workload = bench.engine.find(id);
    expect(workload.held.size).toBe(1);
    stream.socket.destroy();
    while (workload.held.size > 0) await Bun.sleep(1);
    await post(`/containers/${id}/start`);
    expect(workload.state).toBe("running");
  });

  test("the detach keys let go of a terminal", async () => {
    const id = await create("cat", { OpenStdin: true, Tty: true });
    const stream = Hijacked.upgrade(`/containers/${id}/attach?stream=1&stdin=1&stdout=1`);
    expect(await stream.head()).toContain("application/vnd.docker.raw-stream");
    await post(`/containers/${id}/start`);
    stream.socket.write("typed\x10\x11");
    await stream.closed;
    stream.socket.destroy();
    expect(stream.answer.body.toString()).toBe("typed");
    expect(bench.engine.find(id).state).toBe("running");
  });

  test("an upgrade that cannot be is answered as an error", async () => {
    const stream = Hijacked.upgrade("/containers/nobody/attach?stream=1");
    expect(await stream.head()).toStartWith("HTTP/1.1 404");
    await stream.closed;
    stream.socket.destroy();
    expect(JSON.parse(stream.answer.body.toString())).toMatchObject({ code: "noSuchWorkload" });
  });

  test("logs, past and followed", async () => {
    const id = await create("cat", { OpenStdin: true, StdinOnce: true });
    const stream = Hijacked.upgrade(`/containers/${id}/attach?stream=1&stdin=1`);
    await stream.head();
    await post(`/containers/${id}/start`);
    stream.socket.write("one\n");
    const followed = call("GET", `/containers/${id}/logs?stdout=1&follow=1`);
    stream.socket.end("two\n");
    const bytes = await (await followed).bytes();
    expect(Buffer.from(bytes).toString()).toContain("two\n");
    const last = await (await call("GET", `/containers/${id}/logs?stdout=1&tail=1`)).bytes();
    expect(Buffer.from(last.subarray(8)).toString()).toBe("two\n");
    expect((await call("GET", `/containers/${id}/logs`)).status).toBe(400);
  });
});

describe("exec", () => {
  async function createExec(id: string, command: string): Promise<string> {
    const body = { Cmd: command.split(" "), AttachStdin: true, AttachStdout: true };
    return (await read<{ Id: string }>(await post(`/containers/${id}/exec`, body))).Id;
  }

  test("carries input and output, and its exit code is known when the stream ends", async () => {
    const id = await create("sleep");
    await post(`/containers/${id}/start`);
    const exec = await createExec(id, "cat");
    const stream = Hijacked.upgrade(`/exec/${exec}/start`, '{"Detach":false,"Tty":false}');
    expect(await stream.head()).toStartWith("HTTP/1.1 101");
    stream.socket.end("through");
    expect(await stream.text(1)).toBe("through");
    expect(await json(`/exec/${exec}/json`)).toMatchObject({ Running: false, ExitCode: 0, ContainerID: id });
  });

  test("a program that is not there is told on standard error, with 127", async () => {
    const id = await create("sleep");
    await post(`/containers/${id}/start`);
    const exec = await createExec(id, "missing");
    const stream = Hijacked.upgrade(`/exec/${exec}/start`, "{}");
    expect(await stream.text(2)).toContain("executable file not found");
    expect(await json(`/exec/${exec}/json`)).toMatchObject({ ExitCode: 127 });
  });

  test("detached: started when the answer comes", async () => {
    const id = await create("sleep");
    await post(`/containers/${id}/start`);
    const exec = await createExec(id, "sleep");
    expect((await post(`/exec/${exec}/start`, { Detach: true })).status).toBe(200);
    expect((await post(`/exec/${exec}/start`, { Detach: true })).status).toBe(409);
    expect(await json(`/containers/${id}/json`)).toMatchObject({ ExecIDs: [exec] });
  });
});

describe("events", () => {
  test("past and present, filtered", async () => {
    const before = Date.now() / 1000 - 1;
    const id = await create("sleep");
    await post(`/containers/${id}/start`);
    const filters = encodeURIComponent(JSON.stringify({ type: ["container"], event: ["create", "die"] }));
    const response = await call("GET", `/events?since=${before}&filters=${filters}`);
    await post(`/containers/${id}/kill`);
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk);
      if (text.split("\n").length > 2) break;
    }
    const [first, second] = text.split("\n").map((line) => (line === "" ? {} : JSON.parse(line)));
    expect(first).toMatchObject({ Action: "create", status: "create", id, Type: "container" });
    expect(second).toMatchObject({ Action: "die", Actor: { ID: id, Attributes: { exitCode: "137" } } });
  });

  test("since zero is since the beginning", async () => {
    const id = await create("sleep");
    const until = Date.now() / 1000 + 0.05;
    const text = await (await call("GET", `/events?since=0&until=${until}`)).text();
    expect(JSON.parse(text)).toMatchObject({ Action: "create", id });
  });

  test("a span that is over ends", async () => {
    const response = await call("GET", `/events?since=0&until=${Date.now() / 1000 - 10}`);
    expect(await response.text()).toBe("");
  });
});

describe("images", () => {
  test("list, inspect and history", async () => {
    const [image] = await json<ImageSummary[]>("/images/json");
    expect(image).toMatchObject({ RepoTags: ["some/image:latest"], Size: 4096, Containers: 0 });
    expect(await json("/images/some/image/json")).toMatchObject({
      Id: image?.Id,
      RootFS: { Type: "layers" },
    });
    expect(await json("/images/some/image/history")).toHaveLength(1);
  });

  test("an inspection shows what nothing acts on, too", async () => {
    const shown = { OnBuild: ["RUN true"], Shell: ["sh"], Healthcheck: { Test: ["CMD", "true"] } };
    const rootfs = { type: "layers", diff_ids: [] };
    const { config } = parseConfig(
      JSON.stringify({ architecture: "amd64", os: "linux", rootfs, config: shown }),
      "the config",
    );
    Object.assign(bench.images, { image: { ...bench.images.image, config } });
    expect(await json("/images/some/image/json")).toMatchObject({ Config: shown });
  });

  test("one that a container uses is not removed", async () => {
    await create("sleep");
    const refused = await call("DELETE", "/images/some/image");
    expect(refused.status).toBe(409);
  });

  test("pull and load stream their progress", async () => {
    const pulled = await post("/images/create?fromImage=some/image&tag=latest");
    expect(await pulled.json()).toEqual({
      status: "Pulling from some/image",
      id: "latest",
      progressDetail: {},
    });
    const missing = await post("/images/create?fromImage=no/such&tag=1");
    expect(missing.status).toBe(404);
    const loaded = await fetch("http://hull/images/load", {
      unix: socketPath,
      method: "POST",
      body: "archive",
    });
    expect(await loaded.json()).toEqual({ stream: "Loaded image: some/image:latest\n" });
    const imported = await fetch("http://hull/images/create?fromSrc=-&repo=x", {
      unix: socketPath,
      method: "POST",
      body: "tar",
    });
    expect(await imported.json()).toMatchObject({ status: expect.stringContaining("sha256:") });
  });
});
