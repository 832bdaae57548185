import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseOptions } from "./parse/options.ts";
import { placeFlags, placesOf } from "./places.ts";

const none = ["--config", "/nonexistent/config.json"];
const socketOf = (words: string[], env: Record<string, string> = {}) =>
  placesOf(parseOptions(placeFlags, [...none, ...words], true).options, env).socket;

test("the socket comes from flags, then the environment, then the state directory", () => {
  expect(socketOf([])).toBe("/run/hull/hull.sock");
  expect(socketOf(["--state", "/s"])).toBe("/s/hull.sock");
  expect(socketOf(["--state", "/s"], { HULL_SOCKET: "/e.sock" })).toBe("/e.sock");
  expect(socketOf([], { HULL_HOST: "unix:///h.sock" })).toBe("/h.sock");
  expect(socketOf(["--socket", "/f.sock"], { HULL_SOCKET: "/e.sock" })).toBe("/f.sock");
  expect(socketOf(["-H", "unix:///f.sock"])).toBe("/f.sock");
  expect(socketOf([], { HULL_SOCKET: "" })).toBe("/run/hull/hull.sock");
});

test("a host that is no unix socket is refused", () => {
  expect(() => socketOf(["-H", "tcp://example:2375"])).toThrow("unix:///");
  expect(() => socketOf([], { HULL_HOST: "ssh://x" })).toThrow("HULL_HOST");
});

test("the daemon's configuration says where its socket is", () => {
  const directory = mkdtempSync(join(tmpdir(), "hull-places-"));
  try {
    const config = join(directory, "config.json");
    writeFileSync(config, JSON.stringify({ state: "/configured" }));
    expect(socketOf(["--config", config])).toBe("/configured/hull.sock");
    writeFileSync(config, JSON.stringify({ state: "/configured", socket: "/own.sock" }));
    expect(socketOf(["--config", config])).toBe("/own.sock");
    expect(socketOf(["--config", config, "--state", "/flag"])).toBe("/flag/hull.sock");
    writeFileSync(config, "not JSON");
    expect(socketOf(["--config", config])).toBe("/run/hull/hull.sock");
  } finally {
    rmSync(directory, { recursive: true });
  }
});
