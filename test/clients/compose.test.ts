/** Debian's docker-compose against the daemon: services on networks know each other, and go without a trace. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
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
