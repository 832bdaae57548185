/**
 * docs/jail.md, line by line: a hostile program (guest/test/hostile.c) runs in QEMU's place, in the jail that the wall
 * makes for a machine that starts from a template. It runs twice: as it is, and without the jail's filter of system
 * calls, to see what holds by itself.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { Outcomes, Outside, unfiltered } from "../../../test/support/hostile-findings.ts";
import { layerContent, QemusPlace, secret, templateBytes } from "../../../test/support/qemus-place.ts";
import { run } from "../../host/spawn.ts";
import { jailUser } from "./jail-identity.ts";

const timeout = 120_000;
const place = new QemusPlace();
const outside = new Outside(place.directory);

beforeAll(async () => {
  await place.compile(join(import.meta.dir, "../../../guest/test/hostile.c"));
  await outside.open();
}, timeout);
afterAll(() => {
  outside[Symbol.dispose]();
  place[Symbol.dispose]();
});

describe("a program that has taken QEMU's place", () => {
  const outcomes = new Outcomes();
  beforeAll(() => outcomes.look(place, outside, () => place.partsOf()), timeout);
  const { refused, filtered, both } = {
    refused: outcomes.refused.bind(outcomes),
    filtered: outcomes.filtered.bind(outcomes),
    both: outcomes.both.bind(outcomes),
  };

  test("has no capability, no root and no way to new privileges", () => {
    for (const found of outcomes.all()) {
      const fields = new Map(found("status").map((line) => [line.split(":")[0], line.replace(/.*:\s*/, "")]));
      expect(Number.parseInt(fields.get("Uid") ?? "", 10)).toBeGreaterThanOrEqual(0x70000000);
      expect(fields.get("Gid")).toBe(fields.get("Uid") ?? "");
      expect(fields.get("Groups")).toBe("");
      for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"])
        expect(fields.get(`Cap${set}`)).toBe("0".repeat(16));
      expect(fields.get("NoNewPrivs")).toBe("1");
    }
    refused("setuid", "setgroups", "mknod", "shell", "execve");
  });

  test("has the descriptors that QEMU needs and no other", () => {
    const at = (index: number): string => both(`descriptor-${index}`).join();
    expect(at(0)).toBe("/dev/null");
    for (const index of [1, 2]) expect(at(index)).toBe("pipe:[N]");
    for (const index of [3, 4]) expect(at(index)).toBe("socket:[N]");
    expect(at(5)).toBe("/memfd:template (deleted)");
    expect(at(6)).toBe("/memfd:devices (deleted)");
    for (let index = 7; index < 1024; index++) expect(at(index)).toBe("");
    for (let index = 0; index <= 6; index++) refused(`fchdir-${index}`, `above-${index}`);
    expect(both("environment").sort()).toEqual([
      "GLIBC_TUNABLES=glibc.malloc.hugetlb=1",
      "HOME=/",
      "LD_PRELOAD=/discard.so",
    ]);
  });

  test("cannot change the template for others, by any descriptor or mapping", () => {
    refused("template-pwrite", "template-truncate", "template-punch", "template-seal", "template-map-shared");
    refused("template-mprotect", "template-again-pwrite", "template-again-truncate");
    refused("devices-pwrite", "devices-again-pwrite");
    expect(both("template-map-private")).toEqual(["ok"]);
    const content = readFileSync(`/proc/self/fd/${place.memory}`);
    expect(content.subarray(0, secret.length).toString()).toBe(secret);
    expect(content.length).toBe(templateBytes);
  });

  test("sees its own files, and of the host libraries and firmware", () => {
    const listed = (name: string): string[] => (both(name)[0] ?? "").split(" ").sort();
    expect(listed("root")).toEqual([
      "dev",
      "discard.so",
      "disks",
      "layers",
      "lib",
      "lib64",
      "proc",
      "share",
      "usr",
      "vm",
    ]);
    refused("vm");
    expect(listed("proc").filter((name) => !name.includes("self"))).toEqual(["1"]);
    for (const name of listed("dev"))
      expect(
        "console core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero",
      ).toContain(name);
    refused(
      "etc-shadow",
      "etc-passwd",
      "usr-local",
      "host-root",
      "sys",
      "proc-sys",
      "proc-kcore",
      "proc-meminfo",
    );
    refused("proc-sysrq", "dev-mem", "dev-kvm", "dev-tun", "dev-fuse", "dev-userfaultfd", "proc-outside");
    expect(both("nodename")).toEqual(["jail"]);
    for (const line of both("cgroup")) expect(line).toMatch(/^\d+:[^:]*:\/$/);
  });

  test("can write to its disk, as far as it goes, and make and change nothing else", () => {
    expect(both("layer-read")).toEqual(["ok"]);
    refused("layer-write", "layer-truncate", "layer-chmod", "layer-rename", "qemu-write");
    refused(
      "make-in-root",
      "make-in-dev",
      "make-in-vm",
      "make-in-disks",
      "make-nameless",
      "mkdir-in-vm",
      "symlink-in-vm",
      "unlink-in-vm",
    );
    expect(readFileSync(place.layer, "utf8")).toBe(layerContent);
    for (const name of ["disk", "disk-last"]) expect(both(name)).toEqual(["ok"]);
    refused("disk-beyond", "disk-grow");
    filtered("memfd");
  });

  test("reaches no process outside", () => {
    refused("kill-outside", "kill-all", "ptrace-outside", "read-outside", "pidfd-outside");
  });

  test("reaches no socket and no network", () => {
    refused(
      "connect-abstract",
      "connect-host-path",
      "connect-own-monitor",
      "connect-loopback",
      "socket-packet",
    );
    filtered("socket-inet", "socket-inet6", "socket-netlink", "socket-packet", "socket-vsock", "socket-alg");
  });

  test("can mount nothing, leave no root and join or make no namespace", () => {
    refused("mount", "mount-bind", "remount", "umount", "fsopen", "open-tree", "pivot-root", "chroot");
    refused("open-by-handle", "setns", "unshare-mount");
    filtered("unshare-user");
  });

  test("takes no priority, no limit and no processor that it was not given", () => {
    refused("nice", "realtime", "io-priority", "raise-files", "raise-core", "lock-memory");
    filtered("affinity", "fork");
  });

  test("finds the rarer doors of the kernel shut", () => {
    refused("bpf", "module", "kexec", "reboot", "set-time", "hostname", "iopl", "swapon", "acct", "quotactl");
    filtered(
      "keyctl",
      "add-key",
      "request-key",
      "perf",
      "userfaultfd",
      "io-uring",
      "io-setup",
      "ptrace",
      "ldt",
    );
    filtered("syslog", "personality", "fanotify", "shm", "landlock", "push-input");
  });
});

describe("a program in QEMU's place that takes all it can", () => {
  test(
    "of memory is ended in its own control group",
    async () => {
      const { exit } = await place.run({ words: ["memory"] });
      expect([exit.code, exit.oomKilled]).toEqual([137, true]);
    },
    timeout,
  );

  test(
    "of threads and processes meets a limit",
    async () => {
      const threads = await place.run({ words: ["threads"] });
      const [, made, why] = threads.output.trim().split(" ");
      expect(Number(made)).toBeGreaterThan(50);
      expect(Number(made)).toBeLessThan(110);
      expect(why).toBe("EAGAIN");
      const processes = await place.run({ words: ["processes"], change: unfiltered });
      const [, forked, reason] = processes.output.trim().split(" ");
      expect(Number(forked)).toBeLessThan(110);
      expect(reason).toBe("EAGAIN");
    },
    timeout,
  );

  test(
    "of output has a log that does not grow",
    async () => {
      const { exit, logged } = await place.run({ words: ["flood"] });
      expect(exit.code).toBe(0);
      expect(logged).toBeLessThan(512 * 1024);
    },
    timeout,
  );

  test(
    "by calls of another ABI is ended",
    async () => {
      // Where the host's kernel has no such calls (one that is a guest by paravirtual page tables), each is a fault for everybody.
      const outside = await run([place.program, "foreign"]);
      const fault = 128 + constants.signals.SIGSEGV;
      const { exit, output } = await place.run({ words: ["foreign"] });
      expect([exit.code, output]).toEqual([
        outside.code === fault ? fault : 128 + constants.signals.SIGSYS,
        "",
      ]);
    },
    timeout,
  );
});

test(
  "with a network, it can use the taps that are its own, and no other",
  async () => {
    const name = `hull-hostile-${process.pid}`;
    const ip = async (...words: string[]) => {
      const { code, stderr } = await run(["ip", ...words]);
      expect([words.join(" "), code, stderr]).toEqual([words.join(" "), 0, ""]);
    };
    await using made = new AsyncDisposableStack();
    await ip("netns", "add", name);
    made.defer(() => ip("netns", "del", name));
    const parts = place.partsOf({
      network: {
        namespace: `/run/netns/${name}`,
        taps: ["tap0"],
        interfaces: [],
        routes: [],
      },
    });
    const user = String(jailUser(parts.spec));
    await ip("-n", name, "tuntap", "add", "dev", "tap0", "mode", "tap", "user", user);
    await ip("-n", name, "tuntap", "add", "dev", "tap1", "mode", "tap", "user", String(Number(user) + 1));
    const { output } = await place.run({ words: ["taps"], parts });
    expect(output.trim().split("\n")).toEqual([
      "tap-own ok",
      "tap-other EPERM",
      "tap-new EPERM",
      "interface-make EPERM",
    ]);
  },
  timeout,
);
