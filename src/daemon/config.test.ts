import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "./config.ts";
import { createLogger } from "./logger.ts";

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "config-"));
  file = join(directory, "config.json");
});
afterEach(() => rm(directory, { recursive: true }));

async function load(config: unknown, flags: Parameters<typeof loadConfig>[0] = {}) {
  await writeFile(file, JSON.stringify(config));
  return loadConfig({ ...flags, config: file });
}

describe("configuration", () => {
  test("an empty file gives the defaults", async () => {
    expect(await load({})).toMatchObject({
      root: "/var/lib/hull",
      state: "/run/hull",
      socket: "/run/hull/hull.sock",
      logLevel: "info",
      container: { runtime: "crun", conmon: "conmon" },
      vm: { requireKvm: false, guest: "" },
    });
  });

  test("the command line counts more than the file, and the socket follows the state directory", async () => {
    const config = await load({ root: "/file", state: "/file/s" }, { root: "/flag" });
    expect(config).toMatchObject({ root: "/flag", state: "/file/s", socket: "/file/s/hull.sock" });
  });

  test.each([
    [{ rooot: "/x" }, "rooot"],
    [{ vm: { requireKVM: true } }, "vm.requireKVM"],
    [{ root: "x" }, "absolute path"],
    [{ container: { runtime: "" } }, "container.runtime"],
    [{ logLevel: "loud" }, "logLevel"],
    [{ registries: { mirror: {} } }, "registries.mirror"],
    [{ registries: { mirrors: { "docker.io": ["mirror.example.com"] } } }, "URL"],
    [{ registries: { insecure: ["http://x"] } }, "HOST[:PORT]"],
    [{ registries: { downloads: 0 } }, "registries.downloads"],
    [{ registries: { certificates: ["certs.d"] } }, "absolute path"],
    [[], "corrupt"],
    ["text", "corrupt"],
  ])("%j is refused", async (config, words) => {
    await expect(load(config)).rejects.toThrow(words);
  });

  test("a file that was named has to be there", () => {
    expect(() => loadConfig({ config: join(directory, "none") })).toThrow("no such file");
  });
});

test("the log is one JSON object a line, of its level and above", () => {
  const lines: string[] = [];
  const log = createLogger("warn", (line) => lines.push(line) > 0);
  log.info("quiet");
  log.warn("loud", { id: "x", why: "a\nb" });
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "warn", message: "loud", id: "x", why: "a\nb" });
});
