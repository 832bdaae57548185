/** What virtual machines start from, as users see it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "../../src/sdk/main.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";

const timeout = 240_000;
let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await startDaemon();
}, timeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), timeout);

const builds = (): number => daemon.log.split("made a template").length - 1;

test(
  "a template made ahead is the one that machines of its size start from",
  async () => {
    expect(await daemon.hullOk(["template", "ls", "-q"])).toBe("");
    const id = await daemon.hullOk(["template", "build", "-m", "100m"]);
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await daemon.hullOk(["template", "build", "-m", "100m"])).toBe(id);
    const run = ["run", "--rm", "--isolation", "vm", "-m", "100m", "hull/tiny", "echo", "up"];
    expect(await daemon.hullOk(run)).toBe("up");
    expect(builds()).toBe(1);
    const [header, row] = (await daemon.hullOk(["template", "ls"])).split("\n");
    expect(header).toMatch(/^TEMPLATE ID +STATE +MEMORY +CPUS +LAYERS +ACCELERATION +CREATED +SIZE$/);
    expect(row).toMatch(
      new RegExp(`^${id.slice(0, 12)} +ready +100MiB +1 +3 +(tcg|kvm) +.* ago +[0-9.]+MB$`),
    );
  },
  timeout,
);

test(
  "pruning takes away what no start would use, and nothing else",
  async () => {
    using hull = connect({ socket: daemon.socket });
    const kept = await hull.templates.build({ Memory: 100 * 1024 * 1024 });
    const place = join(daemon.root, "templates");
    const other = await hull.templates.build({ Memory: 104 * 1024 * 1024 });
    const path = join(place, other.Id, "manifest.json");
    const manifest = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(
      path,
      JSON.stringify({ ...manifest, parts: { ...manifest.parts, kernel: "an older one" } }),
    );
    expect((await hull.templates.list()).map(({ State }) => State).sort()).toEqual(["outdated", "ready"]);
    expect(await daemon.hullOk(["template", "prune"])).toMatch(
      new RegExp(`^${other.Id}\nTotal reclaimed space: [0-9.]+MB$`),
    );
    expect(readdirSync(place)).toEqual([kept.Id]);
    expect(await daemon.hullOk(["template", "rm", kept.Id.slice(0, 12)])).toBe(kept.Id);
    expect(readdirSync(place)).toEqual([]);
  },
  timeout,
);

test("what is asked for wrongly is refused with a reason", async () => {
  const missing = await daemon.hull(["template", "rm", "nothing"]);
  expect(missing).toMatchObject({ code: 1 });
  expect(missing.stderr).toContain("no such template: nothing: `hull template ls` lists them");
  const small = await daemon.hull(["template", "build", "-m", "8m"]);
  expect(small).toMatchObject({ code: 1 });
  expect(small.stderr).toContain("a virtual machine needs at least 80 MiB");
  const layers = await daemon.hull(["template", "build", "--layers", "1000"]);
  expect(layers.stderr).toContain("the number of layers is too large: 1000 is over the limit of 62");
});
