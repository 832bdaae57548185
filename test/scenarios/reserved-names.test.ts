/** Labels and options with names that mean something in JavaScript: they are users' words like any other. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { testTimeout } from "../support/scenario.ts";

const names = ["constructor", "prototype", "__proto__"] as const;
const flags = names.flatMap((name) => ["--label", `${name}=of ${name}`]);
const labels = names.map((name): [string, unknown] => [name, `of ${name}`]);

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await startDaemon();
}, testTimeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), testTimeout);

async function docker(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(args);
  if (code !== 0) throw new Error(`docker ${args.join(" ")} ended with ${code}: ${stderr}`);
  return stdout.trimEnd();
}

/** In the order of `names`. */
async function labelsOf(...args: string[]): Promise<[string, unknown][]> {
  const parsed: unknown = JSON.parse(await docker(...args));
  const order: readonly string[] = names;
  return Object.entries(Object(parsed))
    .filter(([name]) => order.includes(name))
    .sort(([one], [other]) => order.indexOf(one) - order.indexOf(other));
}

async function lookAtAll(): Promise<void> {
  for (const [kind, of] of [
    ["container", ".Config"],
    ["network", ""],
    ["volume", ""],
    ["image", ".Config"],
  ] as const) {
    const name = kind === "image" ? "reserved/image" : `reserved-${kind}`;
    const inspected = await labelsOf(kind, "inspect", name, "--format", `{{json ${of}.Labels}}`);
    expect([kind, inspected]).toEqual([kind, labels]);
  }
  for (const name of names) {
    const found = (...args: string[]) =>
      docker(...args, "--filter", `label=${name}=of ${name}`, "--format", "{{.ID}}");
    expect([name, (await found("ps", "-a")).split("\n").length]).toEqual([name, 1]);
    expect(await found("network", "ls")).toMatch(/^\w+$/);
    expect(await docker("volume", "ls", "--quiet", "--filter", `label=${name}`)).toBe("reserved-volume");
    expect(await found("images")).toMatch(/^\w+$/);
    // What no object has of its own is not there.
    expect(await docker("ps", "-aq", "--filter", "label=toString")).toBe("");
    expect(
      await daemon.hullOk(["ps", "-a", "--filter", "name=reserved", "--format", `{{.Label "${name}"}}`]),
    ).toBe(`of ${name}`);
  }
}

test(
  "labels of every kind keep them, and are found by them, over a restart of the daemon",
  async () => {
    await writeFile(
      join(daemon.directory, "Dockerfile"),
      `FROM hull/tiny\n${names.map((name) => `LABEL ${name}="of ${name}"\n`).join("")}ENV A=1\n`,
    );
    const build = [
      "build",
      "--tag",
      "reserved/image",
      "--file",
      join(daemon.directory, "Dockerfile"),
      daemon.directory,
    ];
    await daemon.hullOk(build);
    await docker("create", "--name", "reserved-container", ...flags, "hull/tiny", "true");
    await docker("network", "create", ...flags, "reserved-network");
    await docker("volume", "create", ...flags, "reserved-volume");
    await lookAtAll();
    await daemon.restart();
    await lookAtAll();
    // From the cache of builds, too.
    await docker("rmi", "reserved/image");
    await daemon.hullOk(build);
    await lookAtAll();
  },
  testTimeout,
);

test(
  "hull's own command line gives them, and mounts their options",
  async () => {
    await daemon.hullOk(["create", "--name", "reserved-own", ...flags, "hull/tiny", "true"]);
    expect(await labelsOf("inspect", "reserved-own", "--format", "{{json .Config.Labels}}")).toEqual(labels);
    const field = names.map((name) => `volume-label=${name}=of ${name}`).join(",");
    await daemon.hullOk([
      ...["create", "--name", "reserved-mount"],
      ...["--mount", `type=volume,source=reserved-mounted,target=/data,${field}`, "hull/tiny", "true"],
    ]);
    expect(await labelsOf("volume", "inspect", "reserved-mounted", "--format", "{{json .Labels}}")).toEqual(
      labels,
    );
  },
  testTimeout,
);

test(
  "an option of that name is refused as any other that nothing acts on",
  async () => {
    for (const name of names) {
      const volume = await daemon.docker(["volume", "create", "--opt", `${name}=1`, "reserved-option"]);
      expect(volume).toMatchObject({ code: 1, stderr: expect.stringContaining(name) });
      const network = await daemon.docker(["network", "create", "--opt", `${name}=1`, "reserved-option"]);
      expect(network).toMatchObject({ code: 1, stderr: expect.stringContaining(name) });
    }
  },
  testTimeout,
);

test(
  "a filter by such a label prunes nothing else",
  async () => {
    await docker("create", "--name", "reserved-bystander", "hull/tiny", "true");
    for (const name of names) await docker("container", "prune", "--force", "--filter", `label=${name}`);
    expect(await docker("ps", "-aq", "--filter", "name=^reserved-bystander$")).not.toBe("");
  },
  testTimeout,
);
