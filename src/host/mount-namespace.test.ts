import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseMountInfo } from "./mount-info.ts";
import { run } from "./spawn.ts";

const directory = mkdtempSync(join(tmpdir(), "namespace-"));
const script = join(directory, "program.ts");
const modules = import.meta.dir;

beforeAll(() => {
  writeFileSync(
    script,
    `import { enterPrivateMountNamespace, inPrivateMountNamespace } from "${modules}/mount-namespace.ts";
    import { mount } from "${modules}/mount.ts";
    import { readFileSync, readlinkSync } from "node:fs";
    enterPrivateMountNamespace({ stateDirectory: "${directory}/state", rootDirectory: "${directory}/root" });
    enterPrivateMountNamespace({ stateDirectory: "${directory}/state", rootDirectory: "${directory}/root" });
    mount({ source: "tmpfs", target: "${directory}/state", type: "tmpfs" });
    const nested = process.argv[5] === "nested" ? undefined
      : Bun.spawnSync([...readFileSync("/proc/self/cmdline", "utf8").split("\\0").slice(0, -1), "nested"]);
    console.log(JSON.stringify({
      inside: inPrivateMountNamespace(),
      namespace: readlinkSync("/proc/self/ns/mnt"),
      threads: [...new Bun.Glob("*").scanSync({ cwd: "/proc/self/task", onlyFiles: false })]
        .map((id) => readlinkSync("/proc/self/task/" + id + "/ns/mnt")),
      nested: nested === undefined ? undefined : JSON.parse(nested.stdout.toString()),
      args: process.argv.slice(2, 5),
      mounts: readFileSync("/proc/self/mountinfo", "utf8"),
    }));`,
  );
});

afterAll(() => rmSync(directory, { recursive: true }));

interface Report {
  readonly inside: boolean;
  readonly namespace: string;
  readonly threads: readonly string[];
  /** Of the same program, started by the first. */
  readonly nested?: Report;
  readonly args: readonly string[];
  readonly mounts: string;
}

function expectPrivate(report: Report): void {
  expect(report.inside).toBe(true);
  expect(report.namespace).not.toBe(readlinkSync("/proc/self/ns/mnt"));
  expect(new Set(report.threads)).toEqual(new Set([report.namespace]));
  if (report.nested !== undefined) {
    expect(report.nested.inside).toBe(true);
    expect(report.nested.namespace).not.toBe(report.namespace);
  }
  expect(report.args).toEqual(["one", "two words", ""]);
  expect(parseMountInfo(report.mounts).some(({ mountPoint }) => mountPoint === `${directory}/state`)).toBe(
    true,
  );
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(directory);
}

describe("a private mount namespace", () => {
  test("is entered by a script with all of its threads, arguments kept, and gives no mount back", async () => {
    const { stdout, stderr } = await run([process.execPath, script, "one", "two words", ""]);
    expect(stderr).toBe("");
    const report: Report = JSON.parse(stdout);
    expectPrivate(report);
    expect(report.nested).toBeDefined();
  });

  test("is entered by a compiled program alike", async () => {
    const program = join(directory, "program");
    const built = await run([process.execPath, "build", "--compile", script, "--outfile", program]);
    expect(built.code).toBe(0);
    expectPrivate(JSON.parse((await run([program, "one", "two words", ""])).stdout));
  }, 60_000);

  test("a mark left by another program is not believed", async () => {
    const { stdout } = await run([process.execPath, script, "one", "two words", ""], {
      env: { PATH: process.env.PATH ?? "", HULL_MOUNT_NAMESPACE: "mnt:[1]" },
    });
    expectPrivate(JSON.parse(stdout));
  });
});
