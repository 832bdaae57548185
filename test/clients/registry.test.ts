/** docker's and hull's command lines, Hull's daemon and a registry with TLS that asks who one is. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeAuthority, type TestAuthority } from "../support/certificates.ts";
import { type HullOptions, runProgram, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { startRegistry, type TestRegistry } from "../support/registry.ts";
import { testTimeout, walls } from "../support/scenario.ts";
import { openTerminal } from "../support/terminal.ts";

const login = { username: "someone", password: "a pass:word" };
let authority: TestAuthority;
let registry: TestRegistry;
let daemon: TestDaemon;
let directory = "";
let host = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "hull-registry-"));
  authority = await makeAuthority();
  registry = await startRegistry({ tls: await authority.sign("registry"), login });
  host = registry.host;
  const certificates = join(directory, "certs.d");
  await mkdir(join(certificates, host), { recursive: true });
  await copyFile(authority.certificate, join(certificates, host, "ca.crt"));
  daemon = await startDaemon({ config: { registries: { certificates: [certificates] } } });
}, testTimeout);
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
}, testTimeout);

/** Commands with a configuration of docker's of their own. */
async function configured(name: string): Promise<{
  readonly path: string;
  docker(args: readonly string[], options?: HullOptions): Promise<string>;
  hull(args: readonly string[], options?: HullOptions): Promise<string>;
}> {
  const path = join(directory, name);
  await mkdir(path);
  const env = { DOCKER_CONFIG: path };
  const run = async (
    what: "docker" | "hull",
    args: readonly string[],
    options?: HullOptions,
  ): Promise<string> => {
    const result = await daemon[what](args, { ...options, env: { ...env, ...options?.env } });
    return result.code === 0 ? result.stdout : `${result.code}: ${result.stderr}`;
  };
  return {
    path: join(path, "config.json"),
    docker: (args, options) => run("docker", args, options),
    hull: (args, options) => run("hull", args, options),
  };
}

const passwordOf = ({ username, password }: typeof login, server: string): readonly string[] => [
  "login",
  "-u",
  username,
  "-p",
  password,
  server,
];

test(
  "docker logs in, pushes and pulls; hull knows docker's credentials",
  async () => {
    const { docker, hull, path } = await configured("docker");
    expect(await hull(["tag", "hull/tiny", `${host}/tiny:1`])).toBe("");
    expect(await docker(["push", `${host}/tiny:1`])).toMatch(/^1: push access denied for .*tiny/);
    expect(await docker(passwordOf({ ...login, password: "wrong" }, host))).toMatch(
      /^1: .*refused the credentials/s,
    );
    expect(await docker(passwordOf(login, host))).toContain("Login Succeeded");
    const pushed = await docker(["push", `${host}/tiny:1`]);
    expect(pushed).toContain(`The push refers to repository [${host}/tiny]`);
    const digest = /1: digest: (sha256:[0-9a-f]{64}) size: \d+/.exec(pushed)?.[1] ?? "";
    expect(await docker(["image", "inspect", "--format", "{{.RepoDigests}}", `${host}/tiny:1`])).toContain(
      `${host}/tiny@${digest}`,
    );
    await hull(["rmi", `${host}/tiny:1`]);
    expect(await docker(["pull", `${host}/tiny:1`])).toContain(`Digest: ${digest}`);
    expect(await docker(["run", "--rm", `${host}/tiny@${digest}`, "echo", "it runs"])).toBe("it runs\n");
    await hull(["rmi", "--force", `${host}/tiny:1`]);
    expect(await hull(["run", "--rm", `${host}/tiny:1`, "echo", "here too"])).toBe("here too\n");
    expect(await docker(["manifest", "inspect", "--insecure", `${host}/tiny:1`])).toContain("layers");
    expect(await hull(["logout", host])).toBe(`Removing login credentials for ${host}\n`);
    expect(JSON.parse(await readFile(path, "utf8")).auths).toEqual({});
    expect(await hull(["pull", `${host}/tiny:1`])).toMatch(/^1: .*pull access denied for .*tiny/);
  },
  testTimeout,
);

test(
  "hull logs in, and docker knows the credentials; what else is in the file stays",
  async () => {
    const { docker, hull, path } = await configured("hull");
    await writeFile(
      path,
      '{"HttpHeaders":{"X-A":"b"},"auths":{"other.example":{"auth":"eDp5"}},"psFormat":"x"}',
    );
    await chmod(path, 0o600);
    const args = ["login", "--username", login.username, "--password-stdin", `https://${host}/v2/`];
    expect(await hull(args, { stdin: "wrong\n" })).toMatch(/^1: .*refused the credentials/);
    expect(await hull(args, { stdin: `${login.password}\n` })).toBe("Login Succeeded\n");
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual({
      HttpHeaders: { "X-A": "b" },
      psFormat: "x",
      auths: {
        "other.example": { auth: "eDp5" },
        [host]: { auth: Buffer.from(`${login.username}:${login.password}`).toString("base64") },
      },
    });
    expect(await hull(["login", host])).toContain("Login Succeeded");
    await hull(["tag", "hull/tiny", `${host}/tiny:2`]);
    expect(await hull(["push", "--quiet", `${host}/tiny:2`])).toBe(`${host}/tiny:2\n`);
    expect(await docker(["pull", "--quiet", `${host}/tiny:2`])).toBe(`${host}/tiny:2\n`);
    expect(await docker(["logout", host])).toContain("Removing login credentials");
    expect(await hull(["logout", host])).toBe(`Not logged in to ${host}\n`);
    expect(await hull(["login", host])).toMatch(/^125: .*no terminal/s);
  },
  testTimeout,
);

test(
  "a credential helper keeps the secrets, for docker and hull alike",
  async () => {
    const { docker, hull, path } = await configured("helper");
    const store = join(directory, "helper", "kept");
    const bin = join(directory, "helper", "bin");
    await mkdir(bin);
    // One secret for all: what is stored is what is got.
    await writeFile(
      join(bin, "docker-credential-test"),
      `#!/bin/sh
case $1 in
  store) cat > '${store}' ;;
  get) cat >/dev/null; [ -e '${store}' ] && cat '${store}' || { echo "credentials not found in native keychain"; exit 1; } ;;
  erase) cat >/dev/null; rm '${store}' ;;
  list) echo '{"${host}":"x"}' ;;
esac
`,
      { mode: 0o755 },
    );
    await writeFile(path, JSON.stringify({ credHelpers: { [host]: "test" } }));
    const env = { PATH: `${bin}:${process.env.PATH}` };
    const stdin = login.password;
    expect(await hull(["login", "-u", login.username, "--password-stdin", host], { env, stdin })).toBe(
      "Login Succeeded\n",
    );
    expect(await readFile(path, "utf8")).not.toContain(btoa(login.password));
    expect(JSON.parse(await readFile(store, "utf8"))).toEqual({
      ServerURL: host,
      Username: login.username,
      Secret: login.password,
    });
    await hull(["tag", "hull/tiny", `${host}/tiny:3`]);
    expect(await docker(["push", `${host}/tiny:3`], { env })).toContain("3: digest: sha256:");
    expect(await hull(["pull", "--quiet", `${host}/tiny:3`], { env })).toBe(`${host}/tiny:3\n`);
    expect(await hull(["logout", host], { env })).toContain("Removing");
    expect(await hull(["pull", `${host}/tiny:3`], { env })).toMatch(/^1: .*denied/);
    await writeFile(path, JSON.stringify({ credsStore: "missing" }));
    expect(await hull(["pull", `${host}/tiny:3`])).toContain(
      "docker-credential-missing, which docker's configuration names, is not on the PATH",
    );
  },
  testTimeout,
);

test(
  "names and passwords are asked for on a terminal, and the password is not shown",
  async () => {
    const { path } = await configured("terminal");
    const terminal = openTerminal(daemon.command(["login", host]), {
      env: { DOCKER_CONFIG: join(directory, "terminal") },
    });
    await terminal.waitFor(/Username: /);
    terminal.type(`${login.username}\r`);
    await terminal.waitFor(/Password: /);
    terminal.type(`wrong\u0015${login.password}x\u007f\r`);
    await terminal.waitFor(/Login Succeeded/);
    expect(await terminal.exited).toBe(0);
    terminal.close();
    expect(terminal.output()).not.toContain(login.password);
    expect(JSON.parse(await readFile(path, "utf8")).auths).toHaveProperty([host]);
  },
  testTimeout,
);

test(
  "podman and skopeo find what docker pushed, with the same digest",
  async () => {
    const { docker } = await configured("peers");
    await docker(passwordOf(login, host));
    const output = await docker(["push", `${host}/tiny:4`]).then(async (first) => {
      expect(first).toContain("No such image");
      await docker(["tag", "hull/tiny", `${host}/tiny:4`]);
      return docker(["push", `${host}/tiny:4`]);
    });
    const digest = /digest: (sha256:[0-9a-f]{64})/.exec(output)?.[1] ?? "";
    const credentials = `${login.username}:${login.password}`;
    const trust = join(directory, "certs.d", host);
    const seen = await runProgram([
      "skopeo",
      "inspect",
      "--format",
      "{{.Digest}}",
      "--creds",
      credentials,
      "--cert-dir",
      trust,
      `docker://${host}/tiny:4`,
    ]);
    expect(seen).toMatchObject({ code: 0, stdout: `${digest}\n` });
    const store = [
      "--root",
      join(directory, "podman"),
      "--runroot",
      join(directory, "podman-run"),
      "--storage-driver",
      "vfs",
    ];
    const podman = (...args: string[]) => runProgram(["podman", ...store, ...args]);
    expect(
      await podman("pull", "--quiet", "--creds", credentials, "--cert-dir", trust, `${host}/tiny:4`),
    ).toMatchObject({ code: 0 });
    expect((await podman("image", "inspect", "--format", "{{.Digest}}", `${host}/tiny:4`)).stdout).toBe(
      `${digest}\n`,
    );
    // And back, in podman's own compression and both formats.
    for (const [tag, format, compression] of [
      ["docker", "v2s2", "gzip"],
      ["zstd", "oci", "zstd"],
    ] as const) {
      const how = ["--format", format, "--compression-format", compression, "--cert-dir", trust];
      const image = `${host}/podman:${tag}`;
      const pushed = await podman("push", "--creds", credentials, ...how, `${host}/tiny:4`, image);
      expect(pushed).toMatchObject({ code: 0 });
      for (const wall of walls)
        expect(
          await docker(["run", "--rm", "--pull", "always", "--isolation", wall, image, "echo", tag]),
        ).toEndWith(`${tag}\n`);
    }
  },
  testTimeout,
);

test(
  "an artifact is pulled, listed and pushed, and not run",
  async () => {
    const { docker, hull } = await configured("artifact");
    await docker(passwordOf(login, host));
    const chart = Buffer.from("a chart");
    const config = Buffer.from("{}");
    const base = `https://${host}/v2/chart`;
    const authorization = `Basic ${btoa(`${login.username}:${login.password}`)}`;
    const send = (url: string, init: RequestInit) =>
      fetch(url, {
        ...init,
        headers: { authorization, ...init.headers },
        tls: { rejectUnauthorized: false },
      });
    const digestOf = (bytes: Buffer) =>
      `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
    for (const blob of [chart, config]) {
      const begun = await send(`${base}/blobs/uploads/`, { method: "POST" });
      await send(`${begun.headers.get("location")}&digest=${digestOf(blob)}`, { method: "PUT", body: blob });
    }
    const describe = (mediaType: string, blob: Buffer) => ({
      mediaType,
      digest: digestOf(blob),
      size: blob.length,
    });
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const body = JSON.stringify({
      schemaVersion: 2,
      mediaType,
      artifactType: "application/x.chart",
      config: describe("application/vnd.oci.empty.v1+json", config),
      layers: [describe("application/x.chart.content", chart)],
    });
    await send(`${base}/manifests/1`, { method: "PUT", headers: { "content-type": mediaType }, body });
    expect(await hull(["pull", "--quiet", `${host}/chart:1`])).toBe(`${host}/chart:1\n`);
    expect(await docker(["images", "--format", "{{.Repository}}:{{.Tag}}"])).toContain(`${host}/chart:1\n`);
    for (const run of [hull, docker])
      expect(await run(["run", "--rm", `${host}/chart:1`])).toMatch(
        /^125: .*is no container image but an artifact of type application\/x.chart/s,
      );
    await hull(["tag", `${host}/chart:1`, `${host}/copy/chart:1`]);
    expect(await docker(["push", `${host}/copy/chart:1`])).toContain(digestOf(Buffer.from(body)));
    expect(await hull(["rmi", `${host}/chart:1`, `${host}/copy/chart:1`])).toContain("Deleted");
  },
  testTimeout,
);
