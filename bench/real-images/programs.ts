/** What each image's program has to do, behind one wall: answer by itself, and to a sibling over the network. */
import type { TestDaemon } from "../../test/support/daemon.ts";
import { until } from "../../test/support/until.ts";
import type { PackageName } from "../debian-images.ts";
import { expectMatch, trial } from "./trial.ts";

export interface Place {
  readonly daemon: TestDaemon;
  readonly name: PackageName;
  /** The image's reference. */
  readonly image: string;
  /** The image of the sibling. */
  readonly base: string;
  readonly wall: string;
}

const timeoutMs = 300_000;

export async function trialsOf(place: Place): Promise<void> {
  await programs[place.name](place);
}

const programs: Readonly<Record<PackageName, (place: Place) => Promise<void>>> = {
  async nginx(place) {
    await once(place, "nginx -t", ["nginx", "-t"], /test is successful/);
    // bash speaks TCP by itself: Debian's base has no HTTP client.
    const get = (host: string): string[] => [
      "bash",
      "-c",
      `exec 3<>/dev/tcp/${host}/80 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`,
    ];
    const command = ["nginx", "-g", "daemon off;"];
    await served(place, {
      command,
      within: get("127.0.0.1"),
      from: get("server"),
      answer: /Welcome to nginx!/,
    });
  },
  async "redis-server"(place) {
    const client = (host: string): string[] => [
      "bash",
      "-c",
      `redis-cli -h ${host} ping && redis-cli -h ${host} set key kept-${host} && redis-cli -h ${host} get key`,
    ];
    const command = ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""];
    const answer = /PONG\nOK\nkept-/;
    const siblingImage = place.image;
    await served(place, {
      command,
      within: client("127.0.0.1"),
      from: client("server"),
      answer,
      siblingImage,
    });
  },
  async postgresql(place) {
    const script = [
      "set -e",
      "export PATH=$PATH:/usr/lib/postgresql/15/bin PGDATA=/tmp/data PGHOST=/tmp",
      "initdb --auth=trust >/tmp/initdb.log || { cat /tmp/initdb.log; exit 1; }",
      "pg_ctl -w -t 200 -l /tmp/log -o '-c listen_addresses= -k /tmp' start >/dev/null || { cat /tmp/log; exit 1; }",
      "psql -At -c 'create table t as select generate_series(1, 1000) as i' -c 'select current_user, sum(i) from t'",
      "pg_ctl -w -m fast stop",
    ].join("\n");
    await once(place, "initdb, select", ["bash", "-c", script], /postgres\|500500/, ["--user", "postgres"]);
  },
  async python3(place) {
    const code =
      "import ssl, sqlite3, json; print(json.dumps(sqlite3.connect(':memory:').execute('select 6 * 7').fetchone()))";
    await once(place, "python3 -c", ["python3", "-c", code], /^\[42\]$/m);
  },
  async "openjdk-17-jre-headless"(place) {
    await once(place, "java -version", ["java", "-version"], /OpenJDK Runtime Environment/);
  },
};

/** Memory of a virtual machine is all it has; a container's limit is as high. */
const memory = ["--memory", "768m"];

/** Runs a program to its end; the time is that until its answer. */
async function once(
  { daemon, name, image, wall }: Place,
  what: string,
  command: readonly string[],
  expected: RegExp,
  flags: readonly string[] = [],
): Promise<void> {
  await trial(name, wall, what, async () => {
    const started = performance.now();
    const running = daemon.spawnHull([
      ...["run", "--rm", "--isolation", wall, ...memory, ...flags, image],
      ...command,
    ]);
    // The wall may say something of its own first.
    const answered = until(
      "the program answers",
      async () => expected.test(running.stdout() + running.stderr()) || running.process.exitCode !== null,
      timeoutMs,
    ).then(() => performance.now() - started);
    const { code, stdout, stderr } = await running.result;
    if (code !== 0) throw new Error(`ended with ${code}:\n${stdout}\n${stderr}`);
    expectMatch(stdout + stderr, expected);
    return await answered;
  });
}

interface Service {
  readonly command: readonly string[];
  /** What asks it from within, and from a sibling that knows it as `server`. */
  readonly within: readonly string[];
  readonly from: readonly string[];
  readonly answer: RegExp;
  readonly siblingImage?: string;
}

/** Starts a service; it answers within its workload, and to a sibling on its network. */
async function served({ daemon, name, image, base, wall }: Place, service: Service): Promise<void> {
  const [network, server] = [`${name}-${wall}`, `${name}-server-${wall}`];
  const run = ["run", "--isolation", wall, ...memory, "--network", network];
  await daemon.hullOk(["network-create", network]);
  try {
    const up = await trial(name, wall, "serves on loopback", async () => {
      const named = ["--name", server, "--network-alias", "server"];
      await daemon.hullOk([...run, "-d", ...named, image, ...service.command], { timeoutMs });
      let last = "";
      await until(
        () => `${name} answers; it says:\n${last}`,
        async () => {
          const { stdout, stderr } = await daemon.hull(["exec", server, ...service.within], { timeoutMs });
          last = stdout + stderr;
          return service.answer.test(stdout);
        },
        timeoutMs,
      );
    });
    if (!up) console.error((await daemon.hull(["logs", server])).stderr);
    await trial(name, wall, "answers a sibling", async () => {
      const sibling = [...run, "--rm", service.siblingImage ?? base, ...service.from];
      expectMatch(await daemon.hullOk(sibling, { timeoutMs }), service.answer);
    });
  } finally {
    await daemon.hull(["rm", "-f", server]);
    await daemon.hull(["network-rm", network]);
  }
}
