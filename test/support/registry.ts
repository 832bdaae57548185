/** A registry of another make (Debian's docker-registry) on a free port of the loopback interface. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificate } from "./certificates.ts";
import { runProgram } from "./daemon.ts";
import { until } from "./until.ts";

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** Copies an image of an OCI layout to `host/name`, by skopeo. */
  push(layout: string, image: string, name: string): Promise<void>;
}

export interface RegistryOptions {
  /** Serves HTTPS. */
  readonly tls?: Certificate;
  /** Asks for these credentials. */
  readonly login?: { readonly username: string; readonly password: string };
}

export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const directory = await mkdtemp(join(tmpdir(), "registry-"));
  const config = join(directory, "config.yml");
  const { tls, login } = options;
  const http = {
    addr: "127.0.0.1:0",
    ...(tls === undefined ? {} : { tls: { certificate: tls.certificate, key: tls.key } }),
  };
  if (login !== undefined) {
    const hash = await Bun.password.hash(login.password, { algorithm: "bcrypt", cost: 4 });
    await writeFile(join(directory, "htpasswd"), `${login.username}:${hash}\n`);
  }
  const auth = { htpasswd: { realm: "test", path: join(directory, "htpasswd") } };
  // YAML is a superset of JSON.
  await writeFile(
    config,
    JSON.stringify({
      version: "0.1",
      log: { level: "info" },
      storage: { filesystem: { rootdirectory: join(directory, "data") }, delete: { enabled: true } },
      http,
      ...(login === undefined ? {} : { auth }),
    }),
  );
  const child = Bun.spawn(["docker-registry", "serve", config], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) log += decoder.decode(chunk, { stream: true });
  })();
  const dispose = async (): Promise<void> => {
    child.kill();
    await child.exited;
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const listening = /listening on (127\.0\.0\.1:\d+)/;
    await until(
      () => `the registry listens; it says:\n${log}`,
      () => {
        if (child.exitCode !== null) throw new Error(`the registry ended:\n${log}`);
        return listening.test(log);
      },
    );
    const host = listening.exec(log)?.[1] ?? "";
    return {
      host,
      async push(layout, image, name) {
        const copy = ["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"];
        if (login !== undefined) copy.push("--dest-creds", `${login.username}:${login.password}`);
        const result = await runProgram([...copy, `oci:${layout}:${image}`, `docker://${host}/${name}`], {
          timeoutMs: 300_000,
        });
        if (result.code !== 0) throw new Error(`skopeo ended with ${result.code}: ${result.stderr}`);
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}
