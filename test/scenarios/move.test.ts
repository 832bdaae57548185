/** A workload moves between the walls and keeps all but the wall. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { findHalfMade } from "../support/half-made.ts";
import { until } from "../support/until.ts";

const timeout = 240_000;
let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await startDaemon();
}, timeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), timeout);

const ways = [
  ["container", "vm"],
  ["vm", "container"],
] as const;

/** Files of every kind, what the image had taken away, and a directory in the place of the image's. */
const change = [
  "echo kept > /root/file && chown 1234:4321 /root/file && chmod 4750 /root/file && ln /root/file /root/hard",
  "ln -s file /root/link && mkfifo /root/fifo && mkdir -m 1777 /root/dir && echo in > /root/dir/in",
  "truncate -s 9000000 /root/sparse && rm /bin/vi && rm -r /etc/network && mkdir /etc/network && echo new > /etc/network/own",
  "echo volume > /v/file",
].join(" && ");
const look = [
  "stat -c '%a %u:%g %h %s' /root/file /root/hard; readlink /root/link; stat -c %F /root/fifo; stat -c %a /root/dir; cat /root/dir/in",
  "stat -c %s /root/sparse; ls /bin/vi 2>/dev/null; ls /etc/network; cat /v/file; hostname",
].join("; ");

async function make(name: string, wall: string): Promise<void> {
  const image = ["--isolation", wall, "--name", name, "--hostname", "mover", "--label", "a=b"];
  const prepare = "mkdir -p /etc/network && echo old > /etc/network/image && ln -sf busybox /bin/vi";
  if (!(await daemon.hullOk(["images", "-q", "mover"]).catch(() => "")).length) {
    await daemon.hullOk(["run", "--name", "mover-base", "hull/tiny", "sh", "-c", prepare]);
    await daemon.hullOk(["commit", "mover-base", "mover"]);
    await daemon.hullOk(["rm", "mover-base"]);
  }
  await daemon.hullOk(["run", ...image, "-v", `${name}:/v`, "mover", "sh", "-c", `${change}; ${look}`]);
}

describe.each(ways)("from the %s wall to the %s wall", (from, to) => {
  test(
    "files, owners, removals, volumes, labels and names are kept",
    async () => {
      const name = `to-${to}`;
      await make(name, from);
      const before = await daemon.hullOk(["logs", name]);
      expect(before).toContain("own");
      await daemon.hullOk(["update", "--isolation", to, name]);
      const [seen] = JSON.parse(await daemon.hullOk(["inspect", name]));
      expect(seen).toMatchObject({ HostConfig: { Isolation: to }, Config: { Labels: { a: "b" } } });
      const files = await daemon.hullOk(["diff", name]);
      expect(files).toContain("D /bin/vi");
      await daemon.hullOk(["commit", name, `seen-${to}`]);
      const args = ["run", "--rm", "--isolation", to, "--hostname", "mover", "-v", `${name}:/v`];
      expect(await daemon.hullOk([...args, `seen-${to}`, "sh", "-c", look])).toBe(before);
      await daemon.hullOk(["start", "-a", name]).catch(() => undefined);
      expect(
        await daemon.hullOk(["ps", "-a", "--filter", `name=${name}`, "--format", "{{.Wall}}"]),
      ).toStartWith(to);
      await daemon.hullOk(["rm", name]);
    },
    timeout,
  );

  test.each(["move:record", "move:layer", "move:switch"])(
    "a daemon killed after %s leaves it whole behind one of them",
    async (step) => {
      const name = `cut-${to}`;
      await daemon.hullOk([
        "run",
        "--isolation",
        from,
        "--name",
        name,
        "hull/tiny",
        "sh",
        "-c",
        "echo whole > /kept",
      ]);
      await daemon.stop();
      await daemon.start({ HULL_FAILPOINT: `${step}:kill` });
      const client = daemon.hull(["update", "--isolation", to, name]);
      await daemon.ended();
      await client;
      await daemon.start();
      let found: string[] = [];
      await until(
        () => `nothing half-made is left, but there is:\n${found.join("\n")}`,
        async () => {
          found = await findHalfMade(daemon);
          return found.length === 0;
        },
      );
      const wall = await daemon.hullOk(["inspect", "-f", "{{.HostConfig.Isolation}}", name]);
      expect(wall).toBe(step === "move:switch" ? to : from);
      expect(await daemon.hullOk(["diff", name])).toContain("A /kept");
      await daemon.hullOk(["update", "--isolation", to, name]);
      expect(await daemon.hullOk(["diff", name])).toContain("A /kept");
      await daemon.hullOk(["rm", name]);
    },
    timeout,
  );
});

test(
  "one that runs is not moved, nor one whose network has no place there",
  async () => {
    await daemon.hullOk(["run", "-d", "--name", "runs", "--network", "host", "hull/tiny", "sleep", "600"]);
    const running = await daemon.hull(["update", "--isolation", "vm", "runs"]);
    expect(running.code).toBe(1);
    expect(running.stderr).toContain("stop it before it moves");
    await daemon.hullOk(["stop", "-t", "0", "runs"]);
    const host = await daemon.hull(["update", "--isolation", "vm", "runs"]);
    expect(host.stderr).toContain("network stack of its own");
    await daemon.hullOk(["rm", "runs"]);
  },
  timeout,
);
