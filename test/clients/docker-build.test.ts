/** The docker command's classic builder against Hull's socket, and its images against those of buildah. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HullResult, runProgram, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { startRegistry, type TestRegistry } from "../support/registry.ts";
import { testTimeout } from "../support/scenario.ts";

setDefaultTimeout(testTimeout);

let daemon: TestDaemon;
let place: string;
/** The context of most builds. */
let directory: string;
let registry: TestRegistry;

beforeAll(async () => {
  [daemon, registry] = await Promise.all([startDaemon(), startRegistry()]);
  place = await mkdtemp(join(tmpdir(), "hull-build-"));
  directory = join(place, "c");
  await mkdir(directory);
  store = join(place, "store");
  storage = ["--root", store, "--runroot", `${store}-run`, "--storage-driver", "vfs"];
});

afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await rm(place, { recursive: true, force: true });
});

function docker(args: readonly string[], stdin?: string): Promise<HullResult> {
  return daemon.docker(args, {
    env: { DOCKER_BUILDKIT: "0" },
    cwd: directory,
    ...(stdin === undefined ? {} : { stdin }),
  });
}

/** Podman's and buildah's own, away from those of the machine. */
let storage: readonly string[];
let store: string;

test("docker build builds, tells and tags as it does elsewhere", async () => {
  await writeFile(join(directory, "a"), "A");
  await writeFile(join(directory, "skipped.log"), "no");
  await writeFile(join(directory, ".dockerignore"), "*.log\n");
  await writeFile(
    join(directory, "Dockerfile"),
    "FROM hull/tiny\nARG V\nRUN echo $V > /v\nCOPY . /c/\nHEALTHCHECK --interval=1m CMD true\nCMD cat /v; ls /c\n",
  );
  const built = await docker([
    "build",
    "-t",
    "d:1",
    "-t",
    "other",
    "--build-arg",
    "V=given",
    "--build-arg",
    "W=x",
    "--label",
    "l=1",
    "--iidfile",
    "../id",
    ".",
  ]);
  expect(built.code).toBe(0);
  expect(built.stdout).toContain("Step 3/7 : RUN echo $V > /v\n ---> Running in ");
  expect(built.stdout).toContain("[Warning] One or more build-args [W] were not consumed\n");
  expect(built.stdout).toContain("Successfully tagged d:1\nSuccessfully tagged other:latest\n");
  const id = await Bun.file(join(directory, "../id")).text();
  expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect((await docker(["run", "--rm", "d:1"])).stdout).toBe("given\nDockerfile\na\n");
  const quiet = await docker(["build", "-q", "--build-arg", "V=given", "--label", "l=1", "."]);
  expect(quiet.stdout).toBe(`${id}\n`);
  const inspected = await docker(["inspect", "-f", "{{json .Config.Labels}}", "d:1"]);
  expect(inspected.stdout).toBe('{"l":"1"}\n');
  expect((await docker(["history", "-q", "--no-trunc", "d:1"])).stdout).toStartWith(id);
});

test("docker build ends with the code of a command that failed", async () => {
  const failed = await docker(["build", "--force-rm", "-"], "FROM hull/tiny\nRUN exit 3\n");
  expect(failed).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("The command '/bin/sh -c exit 3' returned a non-zero code: 3"),
  });
  const wrong = await docker(["build", "-"], "FROM hull/tiny\nCOPY none /\n");
  expect(wrong).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("none: it is missing or excluded"),
  });
  expect((await docker(["ps", "-aq"])).stdout).toBe("");
});

test("options that Hull does not act on are refused by name", async () => {
  const input = "FROM hull/tiny\n";
  for (const [flag, word] of [
    ["--squash", "squash"],
    ["--cpu-shares=5", "CpuShares"],
    ["--cgroup-parent=/x", "CgroupParent"],
    ["--platform=linux/riscv64", "platform"],
    ["--isolation=other", "isolation"],
  ] as const)
    expect(await docker(["build", flag, "-"], input)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(word),
    });
  const mount = await docker(["build", "-"], "FROM hull/tiny\nRUN --mount=type=cache,target=/c true\n");
  expect(mount.stderr).toContain("--mount is not supported: it is BuildKit's");
});

test("the build cache is listed, and forgotten when it is pruned", async () => {
  await docker(["build", "-q", "-t", "kept", "-"], "FROM hull/tiny\nRUN echo kept > /k\n");
  await docker(["build", "-q", "-"], "FROM hull/tiny\nRUN echo gone > /g\n");
  const usage = async () => (await docker(["system", "df", "--format", "{{.Type}} {{.TotalCount}}"])).stdout;
  expect(await usage()).toMatch(/Build Cache [1-9]/);
  const pruned = await docker(["builder", "prune", "-af"]);
  expect(pruned).toMatchObject({ code: 0, stdout: expect.stringContaining("Total reclaimed space:") });
  expect(await usage()).toContain("Build Cache 0");
  expect((await docker(["run", "--rm", "kept", "cat", "/k"])).stdout).toBe("kept\n");
});

test("buildah makes the same files of the same Dockerfile", async () => {
  const file = `FROM scratch
COPY --chown=1:2 tree /t/
COPY --chmod=640 tree/sub/x /named
WORKDIR /w/x
COPY tree/* ./
ADD packed.tar.gz /unpacked
FROM scratch
COPY --from=0 / /
COPY --from=0 /t/sub /again
ENV A=b
`;
  const root = join(directory, "peer");
  await runProgram(["mkdir", "-p", join(root, "tree/sub/deep"), join(root, "tree/empty")]);
  await writeFile(join(root, "tree/sub/x"), "x");
  await writeFile(join(root, "tree/sub/deep/y"), "y");
  await writeFile(join(root, "tree/run"), "#!/bin/sh\n", { mode: 0o755 });
  await runProgram(["ln", "-s", "sub/x", join(root, "tree/link")]);
  await runProgram(["tar", "-czf", join(root, "packed.tar.gz"), "-C", join(root, "tree"), "."]);
  await writeFile(join(root, "Dockerfile"), file);
  await daemon.hullOk(["build", "-q", "-t", "peer", root]);
  const peer = await runProgram([
    "buildah",
    ...storage,
    "bud",
    "--isolation",
    "chroot",
    "-q",
    "-t",
    "peer",
    root,
  ]);
  expect(peer).toMatchObject({ code: 0 });
  const ours = await filesOf([await pushed("peer"), "--src-tls-verify=false"]);
  const theirs = await filesOf([`containers-storage:[vfs@${store}+${store}-run]localhost/peer:latest`]);
  expect(ours).toEqual(theirs);
  expect(ours).toHaveLength(28);
});

test("podman has the same id for what was built, and buildah runs it", async () => {
  await writeFile(
    join(directory, "Podman"),
    "FROM hull/tiny\nRUN mkdir /d && echo built > /d/f && rm /etc/os-release && ln /d/f /d/g\nUSER nobody\n",
  );
  const id = await daemon.hullOk(["build", "-q", "-t", "podman", "-f", join(directory, "Podman"), directory]);
  const source = await pushed("podman");
  const peer = (program: string, ...args: string[]) => runProgram([program, ...storage, ...args]);
  const pull = await peer("podman", "pull", "-q", "--tls-verify=false", source);
  expect(pull).toMatchObject({ code: 0, stdout: `${id.slice("sha256:".length)}\n` });
  const made = await peer("buildah", "from", "--pull-never", id.slice("sha256:".length));
  const script = "id -u; cat /d/f /d/g; ls /etc/os-release";
  const ran = await peer(
    "buildah",
    "run",
    "--isolation",
    "chroot",
    made.stdout.trim(),
    "--",
    "sh",
    "-c",
    script,
  );
  expect(ran.stdout).toBe("65534\nbuilt\nbuilt\n");
  expect(ran.stderr).toContain("No such file");
});

/** Pushes an image to the registry; returns where it is for others. */
async function pushed(image: string): Promise<string> {
  const name = `${registry.host}/${image}:1`;
  await daemon.hullOk(["tag", image, name]);
  await daemon.hullOk(["push", name]);
  return `docker://${name}`;
}

/** Path, kind, mode, owner, target and content's digest of every file of an image, unpacked by umoci. */
async function filesOf(source: readonly string[]): Promise<string[]> {
  const place = await mkdtemp(join(directory, "oci-"));
  const copy = ["skopeo", "copy", "-q", "--insecure-policy", ...source, `oci:${place}/i:latest`];
  for (const command of [copy, ["umoci", "unpack", "--image", `${place}/i:latest`, `${place}/b`]]) {
    const result = await runProgram(command);
    if (result.code !== 0) throw new Error(`${command.join(" ")}: ${result.stderr}`);
  }
  const found = `find . -mindepth 1 -printf '%P %y %m %U:%G %l ' \\( -type f -exec sha256sum {} \\; -o -printf '\\n' \\)`;
  const listed = await runProgram(["sh", "-c", `${found} | sed 's/  .*//' | sort`], {
    cwd: `${place}/b/rootfs`,
  });
  return listed.stdout.split("\n").filter((line) => line !== "");
}
