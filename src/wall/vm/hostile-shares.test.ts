/**
 * docs/jail.md, of machines with volumes or binds: the hostile program (guest/test/hostile.c) is root of a user name
 * space there, with what it takes to serve files. It reaches the shares and nothing else, and of those that are
 * read-only changes nothing.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Outcomes, Outside } from "../../../test/support/hostile-findings.ts";
import { layerContent, QemusPlace } from "../../../test/support/qemus-place.ts";
import type { SandboxMount } from "../wall.ts";

const timeout = 120_000;
const place = new QemusPlace();
const outside = new Outside(place.directory);
const writable = join(place.directory, "writable");
const fixed = join(place.directory, "fixed");
const single = join(place.directory, "single");
const outcomes = new Outcomes();

beforeAll(async () => {
  await place.compile(join(import.meta.dir, "../../../guest/test/hostile.c"));
  await outside.open();
  for (const path of [writable, fixed]) mkdirSync(path);
  writeFileSync(join(writable, "private"), "of another user", { mode: 0o600 });
  chownSync(join(writable, "private"), 1234, 1234);
  for (const path of [join(fixed, "fixed"), single]) writeFileSync(path, "as it was");
  for (const path of [join(fixed, "fixed"), single]) chmodSync(path, 0o666);
  const mount = (source: string, readOnly: boolean): SandboxMount => ({
    ...{ type: "bind", source, target: source, readOnly },
    options: [],
  });
  const mounts = [mount(writable, false), mount(fixed, true), mount(single, true)];
  await outcomes.look(place, outside, () => place.partsOf({ mounts }));
}, timeout);
afterAll(() => {
  outside[Symbol.dispose]();
  place[Symbol.dispose]();
});

describe("a program in the place of a QEMU that serves files", () => {
  const { refused, filtered, both } = {
    refused: outcomes.refused.bind(outcomes),
    filtered: outcomes.filtered.bind(outcomes),
    both: outcomes.both.bind(outcomes),
  };

  test("is root of a name space of its own, with the rights of a file server", () => {
    for (const found of outcomes.all()) {
      const fields = new Map(found("status").map((line) => [line.split(":")[0], line.replace(/.*:\s*/, "")]));
      for (const set of ["Inh", "Amb"]) expect(fields.get(`Cap${set}`)).toBe("0".repeat(16));
      for (const set of ["Prm", "Eff", "Bnd"])
        expect([set, fields.get(`Cap${set}`)]).toEqual([set, "00000000000000db"]);
      expect(fields.get("NoNewPrivs")).toBe("1");
    }
  });

  test("has of the shares what it was given, and nothing above them", () => {
    expect((both("share")[0] ?? "").split(" ").sort()).toEqual(["0", "1", "2"]);
    expect((both("share-above")[0] ?? "").split(" ").sort()).toEqual(["0", "1", "2"]);
    for (const name of ["share-make", "share-write", "share-give", "share-others", "share-link"])
      expect([name, ...both(name)]).toEqual([name, "ok"]);
    const { uid, gid } = statSync(join(writable, "made"));
    expect([uid, gid]).toEqual([1000, 1000]);
    refused("share-give-beyond", "share-attribute", "share-device");
    refused("share-through-link", "share-link-layer", "share-link-disk", "share-rename-out", "file-above");
    expect(readdirSync(writable).sort()).toEqual(["link", "made", "private"]);
  });

  test("changes nothing that it may only read", () => {
    for (const name of ["fixed-read", "file-read"]) expect([name, ...both(name)]).toEqual([name, "ok"]);
    refused("fixed-again", "fixed-write", "fixed-truncate", "fixed-make", "fixed-mode", "fixed-owner");
    refused("fixed-attribute", "fixed-times", "fixed-unlink", "fixed-rename", "fixed-link", "fixed-map");
    refused("fixed-remount", "fixed-set-attributes", "fixed-clone", "fixed-umount", "file-write");
    for (const path of [join(fixed, "fixed"), single]) {
      expect(readFileSync(path, "utf8")).toBe("as it was");
      expect(statSync(path).mode & 0o7777).toBe(0o666);
    }
    expect(readdirSync(fixed)).toEqual(["fixed"]);
  });

  test("reaches no other file: its rights end with the ids of its name space", () => {
    refused("vm", "layer-write", "layer-truncate", "layer-chmod", "layer-rename", "qemu-write");
    refused("make-in-root", "make-in-vm", "make-in-disks", "make-nameless", "mkdir-in-vm", "symlink-in-vm");
    refused("unlink-in-vm", "etc-shadow", "host-root", "sys", "proc-sys", "proc-kcore", "proc-sysrq");
    refused("dev-mem", "dev-kvm", "dev-tun", "dev-fuse", "proc-outside", "mknod", "execve");
    expect(both("make-in-dev")).toEqual(["ok"]);
    expect(readFileSync(place.layer, "utf8")).toBe(layerContent);
  });

  test("reaches no process, no socket and no network outside", () => {
    refused("kill-outside", "kill-all", "ptrace-outside", "read-outside", "pidfd-outside");
    refused("connect-abstract", "connect-host-path", "connect-own-monitor", "connect-loopback");
    filtered("socket-inet", "socket-netlink", "socket-packet", "socket-vsock", "socket-alg");
  });

  test("cannot change the template, mount, leave its root or raise anything", () => {
    refused(
      "template-pwrite",
      "template-truncate",
      "template-punch",
      "template-map-shared",
      "template-mprotect",
    );
    refused("template-again-pwrite", "devices-pwrite", "devices-again-pwrite");
    refused("mount", "mount-bind", "remount", "umount", "fsopen", "open-tree", "pivot-root", "chroot");
    refused("open-by-handle", "setns", "unshare-mount", "nice", "realtime", "raise-files", "raise-core");
    refused("bpf", "module", "kexec", "reboot", "set-time", "hostname", "iopl", "swapon", "acct", "quotactl");
    filtered("setuid", "setgroups", "unshare-user", "fork", "keyctl", "perf", "io-uring", "userfaultfd");
  });
});
