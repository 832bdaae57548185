/** Building images: what users write into Dockerfiles, with the commands behind either wall. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onBothWalls, testTimeout } from "../support/scenario.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(testTimeout);

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "hull-build-"));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function tree(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const root = join(directory, name);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

onBothWalls("build", (scenario) => {
  const { wall } = scenario;
  const build = (root: string, ...args: string[]) =>
    scenario.hull(["build", "--isolation", wall, ...args, root], { timeoutMs: testTimeout });

  test("commands run behind the wall, and what they write is in the image", async () => {
    const root = await tree(scenario.name("whole"), {
      "files/a": "A\n",
      Dockerfile: `# escape=\`
ARG BASE=hull/tiny
FROM \${BASE} AS first
ARG VALUE=default
ENV GREETING="hello $VALUE"
RUN uname -r >&2; `.concat(
        '`\n  # not for the shell\n  mkdir /made && echo "$GREETING $VALUE" > /made/file && rm /etc/os-release && chmod 751 /home\n',
        `FROM first
COPY --chown=nobody:tty files /data/
USER nobody
WORKDIR /tmp/work
USER root
RUN <<END
set -e
chown nobody .
ln -s /made/file link
ln /data/a hard
END
USER nobody:tty
RUN ["sh", "-c", "id -u; id -g; pwd; cat link; echo mine > own"]
RUN true
LABEL built=yes
CMD ["sh", "-c", "cat link own; stat -c '%a %u:%g' /home; stat -c '%u:%g %h' own /data/a; ls /etc/os-release || true; ls -A /dev/shm | wc -l"]
`,
      ),
    });
    const built = await build(
      root,
      "-t",
      scenario.name("t"),
      "--build-arg",
      "VALUE=given",
      "--label",
      "more=it's $x",
      "--no-cache",
    );
    expect(built).toMatchObject({ code: 0, stderr: "" });
    const kernel = /\d+\.\d+\.\d+\S*/.exec(built.stdout.split("Running in")[1] ?? "")?.[0];
    expect(kernel === release()).toBe(wall === "container");
    expect(built.stdout).toContain("65534\n5\n/tmp/work\nhello given given\n");
    expect(built.stdout).toMatch(/ ---> Removed intermediate container [0-9a-f]{12}\n ---> [0-9a-f]{12}\n/);
    expect(built.stdout).toMatch(/Successfully built [0-9a-f]{12}\nSuccessfully tagged .*:latest\n$/);
    // Behind the other wall it is the same image.
    const other = wall === "container" ? "vm" : "container";
    const ran = await scenario.hull(["run", "--rm", "--isolation", other, scenario.name("t")]);
    expect(ran.stdout).toBe("hello given given\nmine\n751 0:0\n65534:5 1\n65534:5 2\n0\n");
    const inspected: { Config: { Labels: unknown; User: string; WorkingDir: string } }[] = JSON.parse(
      await scenario.ok(["image", "inspect", scenario.name("t")]),
    );
    expect(inspected[0]?.Config).toMatchObject({
      Labels: { built: "yes", more: "it's $x" },
      User: "nobody:tty",
      WorkingDir: "/tmp/work",
    });
    expect(await scenario.ok(["ps", "-aq"])).toBe("");
  });

  test("a second build takes every step from the cache, and a change only what follows it", async () => {
    const root = await tree(scenario.name("cache"), {
      // What one wall made serves the other, too.
      Dockerfile: `FROM hull/tiny\nRUN echo ${wall} > /once\nCOPY a /a\nRUN cat /a > /b\n`,
      a: "1",
    });
    const image = scenario.name("cached");
    const first = await scenario.ok(["build", "-q", "--isolation", wall, "-t", image, root]);
    expect(await scenario.ok(["build", "-q", "--isolation", wall, root])).toBe(first);
    // Times of files do not count; the daemon's end does not either.
    await scenario.daemon().restart();
    await writeFile(join(root, "a"), "1");
    const again = await build(root);
    expect(again.stdout.match(/Using cache/g)).toHaveLength(3);
    expect(again.stdout).not.toContain("Running in");
    await writeFile(join(root, "a"), "2");
    const changed = await build(root, "-t", image);
    expect(changed.stdout.match(/Using cache/g)).toHaveLength(1);
    expect(await scenario.ok(["run", "--rm", image, "cat", "/b"])).toBe("2");
  });

  test("a command that fails ends the build with its code, and a wrong Dockerfile before anything runs", async () => {
    const root = await tree(scenario.name("fails"), {
      Dockerfile: "FROM hull/tiny\nRUN echo out; echo err >&2; exit 7\n",
      Wrong: "FROM hull/tiny\nRUN true\nRUB true\n",
      Absent: 'FROM hull/tiny\nRUN ["/no/such"]\n',
    });
    const failed = await build(root, "--force-rm", "-t", scenario.name("never"));
    expect(failed.code).toBe(7);
    expect(failed.stdout).toContain("out\n");
    expect(failed.stdout).toContain("err\n");
    expect(failed.stderr).toBe(
      "hull: The command '/bin/sh -c echo out; echo err >&2; exit 7' returned a non-zero code: 7\n",
    );
    const wrong = await build(root, "-f", join(root, "Wrong"));
    expect(wrong).toMatchObject({ code: 1, stdout: "" });
    expect(wrong.stderr).toContain("dockerfile parse error on line 3: unknown instruction: RUB");
    const absent = await build(root, "--force-rm", "-f", join(root, "Absent"));
    expect(absent).toMatchObject({ code: 1, stderr: expect.stringContaining("no such file or directory") });
    expect((await scenario.hull(["image", "inspect", scenario.name("never")])).code).toBe(1);
    expect(await scenario.ok(["ps", "-aq"])).toBe("");
    // Without --force-rm the workload stays, to be looked at.
    expect((await build(root)).code).toBe(7);
    const left = await scenario.ok(["ps", "-aq"]);
    expect(left).toMatch(/^[0-9a-f]{12}$/);
    await scenario.ok(["rm", left]);
  });

  test("a client that leaves takes its build along", async () => {
    const root = await tree(scenario.name("left"), {
      Dockerfile: "FROM hull/tiny\nRUN echo begun && sleep 600\n",
    });
    const running = scenario.daemon().spawnHull(["build", "--isolation", wall, root]);
    await running.waitForOutput(/begun/);
    running.process.kill("SIGKILL");
    await until("nothing of the build is left", async () => (await scenario.ok(["ps", "-aq"])) === "");
  });
});
