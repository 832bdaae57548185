/** Images that Hull builds and pushes, pulled and run by podman and dockerd; and one that dockerd builds and pushes. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram, type TestDaemon } from "../../test/support/daemon.ts";
import type { PackageName } from "../debian-images.ts";
import type { Dockerd } from "../dockerd.ts";
import { expectMatch, trial } from "./trial.ts";

interface Both {
  readonly daemon: TestDaemon;
  readonly dockerd: Dockerd;
  /** The registry's host. */
  readonly registry: string;
}

/** A command that shows that the program of an image is alive, and what it says. */
const alive: Readonly<Record<PackageName, readonly [string, RegExp]>> = {
  nginx: ["nginx -t 2>&1", /test is successful/],
  "redis-server": ["redis-server --version", /Redis server v=/],
  postgresql: ["/usr/lib/postgresql/15/bin/postgres --version", /postgres \(PostgreSQL\) 15/],
  python3: ["python3 -c 'print(6 * 7)'", /^42$/m],
  "openjdk-17-jre-headless": ["java -version 2>&1", /OpenJDK Runtime Environment/],
};

const dockerfile = (base: string, name: PackageName): string =>
  [
    `FROM ${base}`,
    'LABEL made.by="hull build"',
    "COPY --chown=33:33 note /opt/hull/note",
    `RUN set -e; (${alive[name][0]}) > /opt/hull/said; ln -s said /opt/hull/link; rm -f /etc/issue.net`,
    `CMD cat /opt/hull/note /opt/hull/link; test ! -e /etc/issue.net; ${alive[name][0]}`,
    "",
  ].join("\n");

/** Builds with the commands behind `wall`, pushes, and has both others pull by tag, compare the digest, and run. */
export async function buildAndShare(
  both: Both & { readonly name: PackageName; readonly wall: string },
): Promise<void> {
  const { daemon, dockerd, registry, name, wall } = both;
  const reference = `${registry}/hull/${name}-${wall}:latest`;
  let digest = "";
  const pushed = await trial(name, wall, "hull build, push", async () => {
    await inContext(dockerfile(`${registry}/debian/${name}`, name), async (context) => {
      const flags = ["--no-cache", "--isolation", wall, "--memory", "768m", "-t", reference];
      await daemon.hullOk(["build", ...flags, context], { timeoutMs: 300_000 });
    });
    await daemon.hullOk(["push", reference], { timeoutMs: 300_000 });
    digest = digestIn(await daemon.hullOk(["inspect", reference]), reference);
  });
  if (!pushed) return;
  const check = (output: string): void => {
    expectMatch(output, /^a note\n/);
    expectMatch(output, alive[name][1]);
  };
  await trial(name, "podman", `pulls and runs, built behind ${wall}`, async () => {
    await using podman = await podmanOfItsOwn();
    await podman.run(["pull", "-q", "--tls-verify=false", "--signature-policy", podman.policy, reference]);
    same(digestIn(await podman.run(["inspect", reference]), reference), digest);
    const limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"];
    check(await podman.run(["run", "--rm", "--network", "none", ...limits, reference]));
  });
  await trial(name, "dockerd", `pulls and runs, built behind ${wall}`, async () => {
    await dockerd.docker(["pull", "-q", reference]);
    same(digestIn(await dockerd.docker(["inspect", reference]), reference), digest);
    check(await dockerd.docker(["run", "--rm", "--network", "none", reference]));
  });
}

/** dockerd builds on the base and pushes; Hull pulls the same digest and runs it. */
export async function fromDockerd(both: Both & { readonly walls: readonly string[] }): Promise<void> {
  const { daemon, dockerd, registry, walls } = both;
  const reference = `${registry}/dockerd/base:latest`;
  const pulled = await trial("base", "", "hull pull, made by dockerd", async () => {
    const text = `FROM ${registry}/debian/base\nCOPY note /note\nRUN rm /etc/issue.net\nCMD cat /note; id -u\n`;
    await inContext(text, async (context) => {
      await dockerd.docker(["build", "-q", "--network", "none", "-t", reference, context]);
    });
    await dockerd.docker(["push", "-q", reference]);
    await daemon.hullOk(["pull", "-q", reference]);
    const theirs = digestIn(await dockerd.docker(["inspect", reference]), reference);
    same(digestIn(await daemon.hullOk(["inspect", reference]), reference), theirs);
  });
  if (!pulled) return;
  for (const wall of walls) {
    await trial("base", wall, "runs, made by dockerd", async () => {
      const output = await daemon.hullOk(["run", "--rm", "--isolation", wall, reference]);
      expectMatch(output, /^a note\n0$/);
    });
  }
}

async function inContext(text: string, work: (context: string) => Promise<void>): Promise<void> {
  const context = await mkdtemp(join(tmpdir(), "context-"));
  try {
    await writeFile(join(context, "Dockerfile"), text);
    await writeFile(join(context, "note"), "a note\n");
    await work(context);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

/** The digest under which the answer of an inspect says that the image is in the registry. */
function digestIn(inspected: string, reference: string): string {
  const repository = reference.replace(/:latest$/, "");
  const digest = inspected.split(`${repository}@`)[1]?.split('"')[0];
  if (digest === undefined) throw new Error(`no digest of ${repository} in:\n${inspected.slice(0, 2000)}`);
  return digest;
}

function same(theirs: string, ours: string): void {
  if (theirs !== ours) throw new Error(`the digest is ${theirs}, and must be ${ours}`);
}

interface Podman extends AsyncDisposable {
  /** Path of a policy that accepts everything: a machine may have none. */
  readonly policy: string;
  run(args: readonly string[]): Promise<string>;
}

/** podman with a store of its own. */
async function podmanOfItsOwn(): Promise<Podman> {
  const directory = await mkdtemp(join(tmpdir(), "podman-"));
  const policy = join(directory, "policy.json");
  await writeFile(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
  const places = ["--root", join(directory, "root"), "--runroot", join(directory, "run")];
  const drivers = ["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs"];
  const run = async (args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await runProgram(["podman", ...places, ...drivers, ...args], {
      timeoutMs: 300_000,
    });
    if (code !== 0) throw new Error(`podman ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  };
  return {
    policy,
    run,
    async [Symbol.asyncDispose]() {
      await run(["rmi", "-af"]).catch(() => undefined);
      // The storage driver leaves a bind mount of its own directory.
      await runProgram(["umount", join(directory, "root/overlay")]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
