/** Promises that need a kernel: users, file systems, limits. */
import { expect } from "bun:test";
import { type Bench, type DefinePromise, errorCodeOf, processSpec, shell } from "./bench.ts";

export function describeProcess(promise: DefinePromise, bench: Bench): void {
  promise("environment, working directory and arguments arrive as given", async () => {
    const { stdout } = await bench.runWith({
      process: {
        args: ["sh", "-c", 'echo "$A|$B|$0|$1"; pwd', "zero", "one two"],
        env: [...processSpec({}).env, "A=a b", "B=ü=x"],
        cwd: "/made/on/the/way",
      },
    });
    expect(stdout).toBe("a b|ü=x|zero|one two\n/made/on/the/way\n");
  });

  const users: readonly (readonly [string, string])[] = [
    ["", "0 0 0 /root"],
    ["root", "0 0 0 /root"],
    ["alice", "1000 1000 1000 29 44 /home/alice"],
    ["1000", "1000 1000 1000 29 44 /home/alice"],
    ["alice:audio", "1000 29 29 /home/alice"],
    ["alice:7", "1000 7 7 /home/alice"],
    ["4321:8765", "4321 8765 8765 /"],
    ["4321", "4321 0 0 /"],
  ];
  promise("every form of user is resolved against the image, groups included", async () => {
    for (const [user, expected] of users) {
      const { stdout, stderr } = await bench.runWith({
        process: { ...shell('echo "$(id -u) $(id -g) $(id -G) $HOME"'), user },
      });
      expect([user, stdout.trim(), stderr]).toEqual([user, expected, ""]);
    }
  });

  promise("an unknown user is refused", async () => {
    const sandbox = await bench.createdWith({ process: { ...shell("true"), user: "nobody-here" } });
    expect(await errorCodeOf(sandbox.start())).toBe("noSuchUser");
  });

  promise("a working directory that is a file is refused", async () => {
    const sandbox = await bench.createdWith({ process: { ...shell("true"), cwd: "/etc/passwd/below" } });
    expect(await errorCodeOf(sandbox.start())).toBe("workingDirectoryInvalid");
  });

  promise("an unprivileged user has no effective capability, root has those it was given", async () => {
    const script = "grep CapEff /proc/self/status | tr -d '\\t'";
    const root = await bench.runWith({
      process: { ...shell(script), capabilities: ["CAP_CHOWN", "CAP_KILL"] },
    });
    expect(root.stdout).toBe("CapEff:0000000000000021\n");
    const user = await bench.runWith({
      process: { ...shell(script), user: "alice", capabilities: ["CAP_CHOWN"] },
    });
    expect(user.stdout).toBe("CapEff:0000000000000000\n");
  });

  promise("exec has user, environment and working directory of its own", async () => {
    const sandbox = await bench.started("sleep 1000");
    const { stdout } = await bench.exec(sandbox, 'echo "$X $(id -u) $(id -G)"; pwd', {
      env: [...processSpec({}).env, "X=y"],
      cwd: "/tmp",
      user: "alice",
    });
    expect(stdout).toBe("y 1000 1000 29 44\n/tmp\n");
  });

  promise("the workload is process 1 and sees only its own processes", async () => {
    const { sandbox, text } = await bench.attached("echo pid $$; sleep 1000 & sleep 1000 & wait");
    await text.until("pid 1\n");
    const rows = await bench.untilProcesses(sandbox, "sleep 1000", 2);
    expect(rows.map(({ pid, parentPid }) => [pid === 1, parentPid])).toEqual([
      [true, 0],
      [false, 1],
      [false, 1],
    ]);
    expect(rows.at(-1)?.command).toBe("sleep 1000");
    expect(new Set(rows.map(({ user }) => user))).toEqual(new Set(["root"]));
  });
}

export function describeRoot(promise: DefinePromise, bench: Bench): void {
  promise("a read-only root refuses writes", async () => {
    const { status, stderr } = await bench.runWith({ readOnlyRoot: true, process: shell("touch /x") });
    expect(status.code).not.toBe(0);
    expect(stderr).toContain("Read-only file system");
  });

  promise("the usual file systems and devices are there", async () => {
    const script = [
      "grep -q ' /proc proc ' /proc/mounts && echo proc",
      "touch /dev/shm/x && echo shm",
      "[ $(head -c 5 /dev/zero | wc -c) = 5 ] && echo zero",
      "head -c 1 /dev/urandom >/dev/null && echo random",
      "echo x > /dev/null && echo null",
      "[ -c /dev/ptmx ] && echo ptmx",
      "echo a > /tmp/a && chown 12:34 /tmp/a && stat -c %u:%g /tmp/a",
    ].join("; ");
    expect((await bench.run(script)).stdout).toBe("proc\nshm\nzero\nrandom\nnull\nptmx\n12:34\n");
  });

  promise("the host name is the one given, in the kernel and in /etc", async () => {
    const { stdout } = await bench.runWith({
      hostname: "box-one",
      process: shell("hostname; cat /etc/hostname; grep -c box-one /etc/hosts"),
    });
    expect(stdout).toBe("box-one\nbox-one\n1\n");
  });

  promise("the loopback interface is up", async () => {
    expect((await bench.run("ip -o addr show lo | grep -o 127.0.0.1/8")).stdout).toBe("127.0.0.1/8\n");
  });
}

export function describeResources(promise: DefinePromise, bench: Bench): void {
  promise("an out-of-memory kill is reported as such", async () => {
    const { status } = await bench.runWith({
      resources: { memoryBytes: 128 * 1024 * 1024 },
      // The shell holds the output of the substitution in memory.
      process: shell("x=$(yes 0123456789012345678901234567890123456789 | head -c 400000000); echo done"),
    });
    expect(status.oomKilled).toBe(true);
    expect(status.code).not.toBe(0);
  });

  promise("statistics tell what the workload uses", async () => {
    const { sandbox, text } = await bench.attached(
      "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; sleep 1000",
      {},
      {
        memoryBytes: 192 * 1024 * 1024,
      },
    );
    await text.until("done");
    const stats = await sandbox.stats();
    expect(stats.memoryBytes).toBeGreaterThan(0);
    expect(stats.proportionalBytes).toBeGreaterThan(0);
    expect(stats.memoryLimitBytes).toBeGreaterThanOrEqual(192 * 1024 * 1024);
    expect(stats.cpuNanoseconds).toBeGreaterThan(1_000_000);
    expect(stats.pids).toBeGreaterThanOrEqual(1);
  });

  promise("a paused workload stands still until it is resumed", async () => {
    const { sandbox, text } = await bench.attached("while :; do echo tick; sleep 0.02; done");
    await text.until("tick");
    await sandbox.pause();
    await text.quiet();
    const seen = text.length;
    await Bun.sleep(150);
    expect(text.length).toBe(seen);
    await sandbox.resume();
    await text.more(seen);
  });

  promise("remove ends a paused workload", async () => {
    const { sandbox, text } = await bench.attached("echo ready; sleep 1000");
    await text.until("ready");
    await sandbox.pause();
    await sandbox.remove();
    expect(sandbox.pid()).toBeUndefined();
  });

  promise("a limit on processes holds", async () => {
    const { stdout } = await bench.runWith({
      resources: { pids: 20 },
      process: shell("i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; echo started"),
    });
    expect(stdout).not.toBe("started\n");
  });
}
