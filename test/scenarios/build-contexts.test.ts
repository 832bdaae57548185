/** Contexts of builds: directories, standard input, URLs, git; and what a hostile one cannot do. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TarHeader, tarEnd, tarHeader, tarPadding } from "../../src/contract/tar-header.ts";
import { runProgram, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { testTimeout } from "../support/scenario.ts";

setDefaultTimeout(testTimeout);

let daemon: TestDaemon;
let directory: string;
let server: ReturnType<typeof Bun.serve>;
/** What the server gives out, by path. */
const served = new Map<string, Uint8Array | string>();

beforeAll(async () => {
  daemon = await startDaemon();
  directory = await mkdtemp(join(tmpdir(), "hull-build-"));
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const content = served.get(pathname);
      if (content !== undefined)
        return new Response(content, { headers: { "Last-Modified": "Thu, 01 Jan 1970 00:01:40 GMT" } });
      const file = Bun.file(join(directory, "served", pathname));
      return (await file.exists()) ? new Response(file) : new Response("no", { status: 404 });
    },
  });
});

afterAll(async () => {
  server.stop(true);
  await daemon[Symbol.asyncDispose]();
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

/** What a one-line shell command says in the image. */
async function inImage(image: string, command: string): Promise<string> {
  return daemon.hullOk(["run", "--rm", image, "sh", "-c", command]);
}

async function must(command: readonly string[], cwd: string): Promise<void> {
  const result = await runProgram(command, { cwd });
  if (result.code !== 0) throw new Error(`${command.join(" ")}: ${result.stderr}`);
}

test("what .dockerignore names is neither sent nor copied, and a Dockerfile may be anywhere", async () => {
  const root = await tree("ignored", {
    Dockerfile: "FROM hull/tiny\nCOPY . /c/\n",
    "other/Dockerfile": "FROM hull/tiny\nCOPY a /other\n",
    ".dockerignore": "*.log\n!keep.log\nDockerfile\n.dockerignore\nsecret\n",
    a: "A",
    "x.log": "x",
    "keep.log": "k",
    "secret/key": "s",
  });
  await symlink("/etc/shadow", join(root, "link"));
  await daemon.hullOk(["build", "-q", "-t", "t:ignored", root]);
  expect(await inImage("t:ignored", "cd /c; find . | sort; readlink link")).toBe(
    ".\n./a\n./keep.log\n./link\n./other\n./other/Dockerfile\n/etc/shadow",
  );
  await daemon.hullOk(["build", "-q", "-t", "t:other", "-f", join(root, "other/Dockerfile"), root]);
  expect(await inImage("t:other", "cat /other")).toBe("A");
  const outside = await tree("outside", { D: "FROM hull/tiny\nCOPY . /c/\n" });
  await daemon.hullOk(["build", "-q", "-t", "t:outside", "-f", join(outside, "D"), root]);
  expect(await inImage("t:outside", "ls -a /c")).not.toContain("dockerfile.");
  await daemon.hullOk(["build", "-q", "-t", "t:input", "-f", "-", root], {
    stdin: "FROM hull/tiny\nCOPY a /b\n",
  });
  expect(await inImage("t:input", "cat /b")).toBe("A");
});

test("standard input is a Dockerfile or an archive", async () => {
  await daemon.hullOk(["build", "-q", "-t", "t:dockerfile", "-"], { stdin: "FROM hull/tiny\nENV A=1\n" });
  expect(await inImage("t:dockerfile", "echo $A")).toBe("1");
  const root = await tree("archive", { "d/File": "FROM hull/tiny\nCOPY x /\n", x: "X" });
  const archive = await runProgram(["tar", "-cz", "."], { cwd: root });
  await daemon.hullOk(["build", "-q", "-t", "t:archive", "-f", "d/File", "-"], {
    stdin: archive.stdoutBytes,
  });
  expect(await inImage("t:archive", "cat /x")).toBe("X");
});

test("a context comes from a URL: a Dockerfile, an archive, a git repository", async () => {
  const at = `http://127.0.0.1:${server.port}`;
  served.set("/Dockerfile", "FROM hull/tiny\nENV A=url\n");
  await daemon.hullOk(["build", "-q", "-t", "t:url", `${at}/Dockerfile`]);
  expect(await inImage("t:url", "echo $A")).toBe("url");
  const root = await tree("remote", {
    Dockerfile: "FROM hull/tiny\nCOPY x /\n",
    x: "X",
    "sub/Dockerfile": "FROM hull/tiny\nCOPY y /\n",
    "sub/y": "Y",
  });
  served.set("/c.tar.gz", (await runProgram(["tar", "-cz", "."], { cwd: root })).stdoutBytes);
  await daemon.hullOk(["build", "-q", "-t", "t:tar", `${at}/c.tar.gz`]);
  expect(await inImage("t:tar", "cat /x")).toBe("X");
  const git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"];
  await must([...git, "init", "-q"], root);
  await must([...git, "add", "."], root);
  await must([...git, "commit", "-q", "-m", "x"], root);
  await must([...git, "tag", "v1"], root);
  await mkdir(join(directory, "served"), { recursive: true });
  await must([...git, "clone", "-q", "--bare", root, join(directory, "served/r.git")], directory);
  await must([...git, "-C", join(directory, "served/r.git"), "update-server-info"], directory);
  await daemon.hullOk(["build", "-q", "-t", "t:git", `${at}/r.git#v1:sub`]);
  expect(await inImage("t:git", "cat /y; ls -a / | grep git; true")).toBe("Y");
  const absent = await daemon.hull(["build", `${at}/r.git#none`]);
  expect(absent).toMatchObject({ code: 1, stderr: expect.stringContaining("failed to download") });
  const missing = await daemon.hull(["build", `${at}/nothing`]);
  expect(missing.stderr).toContain("the server answered 404");
});

test("ADD fetches what a URL names, checks it, and unpacks local archives only", async () => {
  const at = `http://127.0.0.1:${server.port}`;
  const content = await tree("inner", { "i/n": "N" });
  const inner = (await runProgram(["tar", "-c", "."], { cwd: content })).stdoutBytes;
  served.set("/inner.tar", inner);
  const digest = new Bun.CryptoHasher("sha256").update(inner).digest("hex");
  const root = await tree("adds", {
    Dockerfile: `FROM hull/tiny
ADD --checksum=sha256:${digest} ${at}/inner.tar /url/
ADD inner.tar /local/
ADD --chown=nobody:tty --chmod=600 ${at}/inner.tar /named
`,
  });
  await writeFile(join(root, "inner.tar"), inner);
  await daemon.hullOk(["build", "-q", "-t", "t:add", root]);
  expect(await inImage("t:add", "cat /local/i/n; stat -c '%a %u:%g %Y %s' /url/inner.tar /named")).toBe(
    `N600 0:0 100 ${inner.length}\n600 65534:5 100 ${inner.length}`,
  );
  const wrong = await tree("wrong", {
    Dockerfile: `FROM hull/tiny\nADD --checksum=sha256:${"0".repeat(64)} ${at}/inner.tar /url/\n`,
  });
  expect(await daemon.hull(["build", wrong])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("does not match its digest"),
  });
});

test("a hostile context is refused, and nothing of it stays", async () => {
  const members: readonly (Partial<TarHeader> & { path: string })[] = [
    { path: "../../../../tmp/hull-escaped" },
    { path: "l", type: "symlink", linkTarget: "/tmp" },
    { path: "l/hull-escaped" },
  ];
  const dockerfile = Buffer.from("FROM hull/tiny\nCOPY . /\n");
  const tarOf = (member: Partial<TarHeader> & { path: string }, ...before: typeof members): Uint8Array => {
    const plain = { type: "file", mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 0, size: 0 } as const;
    return Buffer.concat([
      tarHeader({ ...plain, path: "Dockerfile", size: dockerfile.length }),
      dockerfile,
      tarPadding(dockerfile.length),
      ...[...before, member].map((each) => tarHeader({ ...plain, ...each })),
      tarEnd,
    ]);
  };
  const [climbing, link, through] = members;
  if (climbing === undefined || link === undefined || through === undefined) throw new Error("three members");
  for (const bytes of [tarOf(climbing), tarOf(through, link), tarOf({ path: "dev", type: "block-device" })])
    expect(await daemon.hull(["build", "-"], { stdin: bytes })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("the build context is corrupt"),
    });
  expect(await Bun.file("/tmp/hull-escaped").exists()).toBe(false);
  // Cut in its middle.
  expect((await daemon.hull(["build", "-"], { stdin: tarOf(climbing).subarray(0, 520) })).code).toBe(1);
  const left = await runProgram(["find", join(daemon.root, "content/temp"), "-type", "f"]);
  expect(left.stdout).toBe("");
});

test("a stage copies from those before it, and is told when it names none", async () => {
  const build = async (text: string) => await daemon.hull(["build", "-q", "-"], { stdin: text });
  const good = await build(
    "FROM hull/tiny AS a\nFROM scratch\nCOPY --from=a /bin/sh /x\nCOPY --from=0 /bin/sh /y\n",
  );
  expect(good.code).toBe(0);
  for (const word of ["a", "A", "0", "7"]) {
    // Beginnings of ids of images that are here, for some of them.
    const refused = await build(`FROM hull/tiny AS a\nCOPY --from=${word} /bin/sh /x\n`);
    expect(refused.stderr).toContain(`invalid --from ${word}: name a stage before this one, or an image`);
  }
  const missing = await build("FROM hull/tiny AS a\nFROM hull/tiny\nCOPY --from=a /none /x\n");
  expect(missing.stderr).toContain("/none");
  expect(missing.stderr).not.toContain("dockerignore");
});

test("what a base image left for those who build upon it is done first, and is not passed on", async () => {
  const base = await tree("base", {
    Dockerfile:
      "FROM hull/tiny\nARG WHO=base\nONBUILD COPY given /given\nONBUILD RUN cat /given > /ran\nONBUILD ENV BY=trigger\n",
  });
  await daemon.hullOk(["build", "-q", "-t", "t:base", base]);
  const root = await tree("upon", { Dockerfile: "FROM t:base\nCMD cat /ran; echo $BY\n", given: "G\n" });
  const built = await daemon.hullOk(["build", "-t", "t:upon", root]);
  expect(built).toContain("# Executing 3 build triggers\n");
  expect(await daemon.hullOk(["run", "--rm", "t:upon"])).toBe("G\ntrigger");
  const again = await daemon.hullOk(["build", root]);
  expect(again.match(/Using cache/g)).toHaveLength(4);
  const next = await tree("next", { Dockerfile: "FROM t:upon\nENV A=b\n" });
  expect(await daemon.hullOk(["build", next])).not.toContain("trigger");
});

test("the same files and the same clock give the same image", async () => {
  const root = await tree("clock", {
    Dockerfile: "FROM hull/tiny\nENV A=1\nWORKDIR /w/x\nCOPY a b/\nCMD true\n",
    a: "A",
  });
  const args = ["build", "-q", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1000000000", root];
  const first = await daemon.hullOk(args);
  expect(await daemon.hullOk(args)).toBe(first);
  const created = await daemon.hullOk(["image", "inspect", "-f", "{{.Created}}", first]);
  expect(created).toBe("2001-09-09T01:46:40Z");
});

test("steps are taken from the history of an image that came from elsewhere", async () => {
  const root = await tree("from", {
    Dockerfile: "FROM hull/tiny\nRUN date +%N > /once\nCOPY a /a\nENV B=1\n",
    a: "A",
  });
  const id = await daemon.hullOk(["build", "-q", "-t", "t:from", root]);
  await daemon.hullOk(["builder", "prune", "-a"]);
  const without = await daemon.hullOk(["build", root]);
  expect(without).not.toContain("Using cache");
  await daemon.hullOk(["builder", "prune", "-a"]);
  const built = await daemon.hullOk([
    "build",
    "--cache-from",
    "t:from",
    "--cache-from",
    "not/here",
    "-t",
    "t:from2",
    root,
  ]);
  expect(built.match(/Using cache/g)).toHaveLength(3);
  expect(await daemon.hullOk(["image", "inspect", "-f", "{{.Id}}", "t:from2"])).toBe(id);
});
