/** Debian's docker-compose against the daemon: services on networks know each other, and go without a trace. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type HullResult, runProgram, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { testTimeout } from "../support/scenario.ts";

const file = `
version: "3.7"
services:
  web:
    image: hull/tiny
    command: httpd -f -p 80 -h /etc
    hostname: web
    ports: ["18200:80"]
    networks:
      front: { aliases: [www] }
      back: { ipv4_address: 10.96.0.9 }
  client:
    image: hull/tiny
    mac_address: 02:aa:bb:cc:dd:03
    extra_hosts: ["gate:host-gateway"]
    command: sh -c 'until wget -qO- http://web/hostname; do sleep 0.2; done; wget -qO- http://www/hostname'
    depends_on: [web]
    networks: [front]
networks:
  front: {}
  back:
    internal: true
    ipam: { config: [{ subnet: 10.96.0.0/24 }] }
`;

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startDaemon();
  await writeFile(join(daemon.directory, "docker-compose.yml"), file);
}, testTimeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), testTimeout);

async function compose(...args: readonly string[]): Promise<HullResult> {
  const result = await runProgram(["docker-compose", "-p", "app", ...args], {
    cwd: daemon.directory,
    env: { DOCKER_HOST: daemon.dockerHost, HOME: daemon.directory },
    timeoutMs: testTimeout,
  });
  expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: expect.any(String) });
  return result;
}

test.skipIf(Bun.which("docker-compose") === null)(
  "services come up on their networks, are found by name, and go",
  async () => {
    await compose("up", "-d");
    await daemon.hullOk(["wait", "app_client_1"]);
    expect((await compose("logs", "--no-color", "client")).stdout.match(/web$/gm)).toHaveLength(2);
    expect(
      await daemon.hullOk([
        "inspect",
        "-f",
        "{{.NetworkSettings.Networks.app_front.MacAddress}}",
        "app_client_1",
      ]),
    ).toBe("02:aa:bb:cc:dd:03");
    const answer = await fetch("http://127.0.0.1:18200/hostname", { keepalive: false });
    expect((await answer.text()).trim()).toBe("web");
    expect(await daemon.hullOk(["network", "inspect", "-f", "{{.Internal}}", "app_back"])).toBe("true");
    expect((await compose("ps", "web")).stdout).toContain("0.0.0.0:18200->80/tcp");
    await compose("down");
    expect(await daemon.hullOk(["network", "ls", "-f", "type=custom", "-q"])).toBe("");
    expect(await daemon.hullOk(["ps", "-aq"])).toBe("");
  },
  testTimeout,
);

const fileWithVolumes = (isolation: string, device: string): string => `
version: "3.7"
services:
  writer:
    image: hull/tiny
    isolation: ${isolation}
    command: sh -c 'id > /data/id && cp /given/file /data/copy && echo memory > /memory/f && df /memory | grep -c 1024 && echo x > /given/no'
    tmpfs: ["/memory:size=1m"]
    volumes:
      - data:/data
      - ./given:/given:ro
      - /anonymous
  reader:
    image: hull/tiny
    command: sh -c 'until [ -s /in/copy ]; do sleep 0.1; done; cat /in/copy; echo y > /in/no'
    volumes:
      - { type: volume, source: data, target: /in, read_only: true }
volumes:
  data:
    driver_opts: { type: none, o: bind, device: ${device} }
    labels: { kept: "no" }
`;

for (const isolation of ["container", "vm"])
  test.skipIf(Bun.which("docker-compose") === null)(
    `services share volumes, with options and read-only, ${isolation} wall`,
    async () => {
      const kept = join(daemon.directory, `kept-${isolation}`);
      await mkdir(kept);
      await writeFile(join(daemon.directory, "docker-compose.yml"), fileWithVolumes(isolation, kept));
      await mkdir(join(daemon.directory, "given"), { recursive: true });
      await writeFile(join(daemon.directory, "given/file"), "given by the host\n");
      await compose("up", "-d");
      expect(await daemon.hullOk(["wait", "app_writer_1", "app_reader_1"])).toBe("1\n1");
      const logs = (await compose("logs", "--no-color")).stdout;
      expect(logs).toMatch(/writer_1 +\| 1\n/);
      expect(logs).toMatch(/reader_1 +\| given by the host/);
      expect(logs.match(/Read-only file system/g)).toHaveLength(2);
      const data = JSON.parse(await daemon.hullOk(["volume", "inspect", "app_data"]))[0];
      expect(data.Options).toEqual({ type: "none", o: "bind", device: kept });
      expect(data.Labels).toMatchObject({ kept: "no", "com.docker.compose.volume": "data" });
      const anonymous = ["volume", "ls", "-q", "--filter", "label=com.docker.volume.anonymous"];
      expect((await daemon.hullOk(anonymous)).split("\n")).toHaveLength(1);
      await compose("down", "-v");
      expect(await daemon.hullOk(["volume", "ls", "-q"])).toBe("");
      expect(await readFile(join(kept, "copy"), "utf8")).toBe("given by the host\n");
    },
    testTimeout,
  );
