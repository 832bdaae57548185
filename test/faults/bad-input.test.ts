/** What the daemon says to requests that cannot be met; each leaves nothing behind and the daemon as it was. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { findHalfMade } from "../support/half-made.ts";

const timeout = 120_000;
let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.hullOk(["run", "--rm", "hull/tiny", "true"]);
}, timeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), timeout);

interface Answer {
  readonly status: number;
  readonly message: string;
}

async function post(path: string, body: string | Uint8Array): Promise<Answer> {
  const response = await fetch(`http://hull${path}`, {
    unix: daemon.socket,
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  const text = await response.text();
  const answer: unknown = text === "" ? {} : JSON.parse(text);
  const message = typeof answer === "object" && answer !== null && "message" in answer ? answer.message : "";
  return { status: response.status, message: String(message) };
}

const create = (body: unknown, name = "") => post(`/containers/create?name=${name}`, JSON.stringify(body));

async function expectUntouched(): Promise<void> {
  expect(await daemon.hullOk(["ps", "-aq"])).toBe("");
  expect(await findHalfMade(daemon)).toEqual([]);
}

describe("commands that cannot be met", () => {
  test.each([
    ["an unknown image", ["run", "--pull", "never", "no/such", "true"], "No such image"],
    ["a bad reference", ["run", "BAD//ref", "true"], "invalid reference"],
    ["a bad name", ["create", "--name", "-x", "hull/tiny", "true"], "invalid container name"],
    ["a memory limit that is too small", ["run", "--memory", "1k", "hull/tiny", "true"], "memory limit"],
    ["an unknown user", ["run", "-u", "nobody-here", "hull/tiny", "true"], "unable to find user"],
  ])(
    "%s",
    async (_, command, words) => {
      const result = await daemon.hull(command);
      expect(result.code).toBe(125);
      expect(result.stderr.trimEnd()).toContain(words);
      expect(
        result.stderr
          .trimEnd()
          .split("\n")
          .filter((line) => line.startsWith("hull:")),
      ).toHaveLength(1);
      const left = await daemon.hullOk(["ps", "-aq"]);
      if (left !== "") await daemon.hullOk(["rm", ...left.split("\n")]);
      await expectUntouched();
    },
    timeout,
  );

  test("a name in use", async () => {
    await daemon.hullOk(["create", "--name", "taken", "hull/tiny", "true"]);
    const answer = await create({ Image: "hull/tiny", Cmd: ["true"] }, "taken");
    expect(answer.status).toBe(409);
    expect(answer.message).toContain("already in use");
    await daemon.hullOk(["rm", "taken"]);
    await expectUntouched();
  });
});

const bindOf = (Source: string, Target: string) => ({ Type: "bind", Source, Target });

describe("options that Hull does not have are refused by name", () => {
  test.each([
    ["wat is no option of a bind", { HostConfig: { Binds: ["/tmp:/b:wat"] } }],
    ["the propagation rshared", { HostConfig: { Binds: ["/tmp:/b:rshared"] } }],
    ["invalid mount source /no/such", { HostConfig: { Mounts: [bindOf("/no/such", "/b")] } }],
    ["invalid mount target", { HostConfig: { Mounts: [bindOf("/tmp", "/")] } }],
    ["invalid volume name", { HostConfig: { Binds: ["x:/b"] } }],
    ["invalid tmpfs option", { HostConfig: { Tmpfs: { "/t": "lowerdir=/etc" } } }],
    ["invalid VolumeDriver", { HostConfig: { VolumeDriver: "nfs" } }],
    ["HostConfig.Privileged", { HostConfig: { Privileged: true } }],
    ["99999", { HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "99999" }] } } }],
    ["host", { HostConfig: { NetworkMode: "host", Isolation: "vm" } }],
    ["HostConfig.PidMode", { HostConfig: { PidMode: "host" } }],
    ["HostConfig.Devices", { HostConfig: { Devices: [{ PathOnHost: "/dev/null" }] } }],
    ["HostConfig.ShmSize", { HostConfig: { ShmSize: 1 } }],
    ["HostConfig.SecurityOpt", { HostConfig: { SecurityOpt: ["seccomp=unconfined"] } }],
    ["HostConfig.NoSuchThing", { HostConfig: { NoSuchThing: 1 } }],
    ["Healthcheck", { Healthcheck: { Test: ["CMD", "true"] } }],
    ["NoSuchThing", { NoSuchThing: "x" }],
    ["invalid isolation xen", { HostConfig: { Isolation: "xen" } }],
    ["restart policy", { HostConfig: { RestartPolicy: { Name: "sometimes" } } }],
    ["invalid signal", { StopSignal: "SIGNOPE" }],
    ["platform", {}],
  ])("%s", async (words, body) => {
    const request = { Image: "hull/tiny", Cmd: ["true"], ...body };
    const path = words === "platform" ? "/containers/create?platform=linux/s390x" : "/containers/create";
    const answer = await post(path, JSON.stringify(request));
    expect(answer).toMatchObject({ status: 400, message: expect.stringContaining(words) });
    await expectUntouched();
  });
});

describe("requests that are no requests", () => {
  const body = JSON.stringify({
    Image: "hull/tiny",
    Cmd: ["true"],
    Env: ["A=ü"],
    HostConfig: { Memory: 8_000_000, CapAdd: ["NET_ADMIN"], Isolation: "vm" },
  });

  test("JSON that is cut off at any byte", async () => {
    for (let length = 1; length < body.length; length += 3) {
      const answer = await post("/containers/create", Buffer.from(body).subarray(0, length));
      expect(answer.status).toBe(400);
      expect(answer.message).toContain("request body");
    }
    await expectUntouched();
  });

  test("JSON with a broken byte is refused or understood, and never an error of the daemon's", async () => {
    for (let offset = 0; offset < body.length; offset += 2) {
      const bytes = Buffer.from(body);
      bytes[offset] = 0x07;
      const answer = await post("/containers/create", bytes);
      expect(answer.status).toBe(400);
    }
    await expectUntouched();
  });

  test.each([
    ["an array", "[]"],
    ["a number", "1"],
    ["a wrong type", '{"Image":1}'],
    ["a wrong type inside", '{"Image":"hull/tiny","HostConfig":{"Memory":"lots"}}'],
    ["a fraction", '{"Image":"hull/tiny","HostConfig":{"Memory":6500000.5}}'],
  ])("%s", async (_, text) => {
    expect(await post("/containers/create", text)).toMatchObject({
      status: 400,
      message: expect.stringContaining("request body"),
    });
  });

  test("a body that does not end", async () => {
    const answer = await post("/containers/create", `{"Image":"${"x".repeat(5 * 1024 * 1024)}"}`);
    expect(answer).toMatchObject({ status: 400, message: expect.stringContaining("too large") });
  });

  test.each([
    ["/v9.99/info", 400, "too new"],
    ["/v1.10/info", 400, "too old"],
    ["/nowhere", 404, "page not found"],
    ["/containers/json?filters=%7B", 400, "filters"],
    ["/containers/json?filters=%7B%22no%22%3A%5B%22x%22%5D%7D", 400, "invalid filter no"],
    ["/containers/json?limit=x", 400, "limit"],
    ["/containers/nobody/json", 404, "No such container: nobody"],
    ["/containers/nobody/logs?stdout=1", 404, "No such container"],
    ["/images/no/such/json", 404, "No such image"],
    ["/exec/0123456789/json", 404, "No such exec"],
    ["/%ff", 404, "page not found"],
  ])("GET %s is %d", async (path, status, words) => {
    const response = await fetch(`http://hull${path}`, { unix: daemon.socket });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ message: expect.stringContaining(words) });
  });
});
