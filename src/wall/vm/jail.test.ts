import { expect, test } from "bun:test";
import { type JailFacts, jailConfig } from "./jail.ts";
import { layoutOf } from "./layout.ts";

const id = "0123456789abcdef".repeat(4);
const layout = layoutOf({ runtimeDirectory: "/run/hull/w/0123", directory: "/var/lib/hull/w/0123" });
const facts: JailFacts = {
  qemu: "/usr/bin/qemu-system-x86_64",
  acceleration: "tcg",
  layout,
  cgroup: `/hull/vm-${id}`,
  user: 0x70012345,
  memoryBytes: 128 * 1024 * 1024,
  diskBytes: 10 * 1024 ** 3,
  processors: 2,
  kernel: "/lib/hull/guest/vmlinux",
  initramfs: "/lib/hull/guest/initramfs.cpio",
  discard: "/lib/hull/guest/discard.so",
  thaw: "/lib/hull/guest/hull-thaw",
  programs: ["/usr/lib/x", "/usr/bin/qemu-system-x86_64"],
  canLimitSwap: true,
  disks: ["0.raw"],
  kvm: undefined,
};
const viewBytes = 2 ** 2 * 96 * 1024;
const spec = { id, layers: ["/layers/a.erofs", "/layers/b.erofs"] };

test("the jail shows QEMU its own files and nothing else", () => {
  const { mounts, root } = jailConfig(spec, facts);
  expect(root).toEqual({ path: "/run/hull/w/0123/root", readonly: true });
  const binds = mounts.filter(({ type }) => type === "bind");
  expect(binds.map(({ source, destination, options }) => [source, destination, options.at(-1)])).toEqual([
    ["/usr/lib/x", "/usr/lib/x", "ro"],
    ["/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-x86_64", "ro"],
    ["/lib/hull/guest/vmlinux", "/boot/vmlinux", "ro"],
    ["/lib/hull/guest/initramfs.cpio", "/boot/initramfs.cpio", "ro"],
    ["/layers/a.erofs", "/layers/0", "ro"],
    ["/layers/b.erofs", "/layers/1", "ro"],
    ["/var/lib/hull/w/0123/disks", "/disks", "rw"],
    ["/run/hull/w/0123/vm", "/vm", "ro"],
  ]);
  for (const { options } of binds) expect(options).toEqual(expect.arrayContaining(["nosuid", "nodev"]));
  expect(binds.filter(({ options }) => !options.includes("noexec")).map(({ source }) => source)).toEqual([
    ...facts.programs,
  ]);
  expect(mounts.find(({ type }) => type === "proc")?.options).toContain("subset=pid");
  expect(mounts.filter(({ type }) => type !== "bind").map(({ destination }) => destination)).toEqual([
    "/proc",
    "/dev",
  ]);
});

test("the jail gives QEMU no right and bounds what it takes", () => {
  const { process, linux } = jailConfig(spec, facts);
  expect(process.user).toEqual({ uid: 0x70012345, gid: 0x70012345, additionalGids: [] });
  for (const set of Object.values(process.capabilities)) expect(set).toEqual([]);
  expect(process.noNewPrivileges).toBe(true);
  expect(process.env).toEqual([]);
  expect(process.rlimits?.map(({ type, hard }) => [type, hard])).toEqual([
    ["RLIMIT_CORE", 0],
    ["RLIMIT_MEMLOCK", 0],
    ["RLIMIT_MSGQUEUE", 0],
    ["RLIMIT_NOFILE", 1024],
    ["RLIMIT_FSIZE", (facts.diskBytes * 65) / 64],
  ]);
  expect(linux.seccomp?.defaultAction).toBe("SCMP_ACT_ERRNO");
  expect(linux.namespaces.map(({ type }) => type).sort()).toEqual([
    "cgroup",
    "ipc",
    "mount",
    "network",
    "pid",
    "uts",
  ]);
  expect(linux.namespaces.every(({ path }) => path === undefined)).toBe(true);
  expect(linux.resources).toEqual({
    devices: [{ allow: false, access: "rwm" }],
    memory: { limit: 402653184 + viewBytes, swap: 402653184 + viewBytes },
    cpu: { quota: 300000, period: 100000 },
    pids: { limit: 98 },
  });
});

test("a jail of a template's copy has neither kernel nor template in it, one that makes one has both", () => {
  const places = { memory: "/proc/self/fd/3", layerPlaces: 6, emptyBytes: 32 * 1024 * 1024 };
  const copy = jailConfig(spec, { ...facts, template: { ...places, step: "restore" } });
  const made = jailConfig(
    { ...spec, layers: [] },
    { ...facts, template: { ...places, step: "save", emptyBytes: 0 } },
  );
  const shown = ({ mounts }: typeof copy): string[] =>
    mounts.filter(({ type }) => type === "bind").map(({ destination }) => destination);
  expect(shown(copy)).toEqual([...facts.programs, "/discard.so", "/layers/0", "/layers/1", "/disks", "/vm"]);
  expect(shown(made)).toEqual([...facts.programs, "/boot/vmlinux", "/boot/initramfs.cpio", "/disks", "/vm"]);
  const limit = (config: typeof copy): number => config.linux.resources.memory?.limit ?? 0;
  expect(limit(copy) - limit(made)).toBe(places.emptyBytes);
});

test("only with KVM is there a device, for its user alone", () => {
  const { linux } = jailConfig(spec, { ...facts, acceleration: "kvm", kvm: { major: 10, minor: 232 } });
  expect(linux.devices).toEqual([
    { path: "/dev/kvm", type: "c", major: 10, minor: 232, fileMode: 0o600, uid: 0x70012345, gid: 0x70012345 },
  ]);
  expect(linux.resources.devices).toEqual([
    { allow: false, access: "rwm" },
    { allow: true, type: "c", major: 10, minor: 232, access: "rw" },
  ]);
});

test("the sandbox's network is QEMU's, which may open the taps in it", () => {
  const network = { namespace: "/run/netns/a", taps: ["tap0"] };
  const { linux, process } = jailConfig(spec, { ...facts, network });
  expect(linux.namespaces.find(({ type }) => type === "network")).toEqual({
    type: "network",
    path: "/run/netns/a",
  });
  expect(linux.devices?.map(({ path, uid }) => [path, uid])).toEqual([["/dev/net/tun", 0x70012345]]);
  expect(linux.resources.devices).toContainEqual({
    allow: true,
    type: "c",
    major: 10,
    minor: 200,
    access: "rw",
  });
  expect(process.args.join(" ")).toContain("ifname=tap0");
  const without = jailConfig(spec, { ...facts, network: { ...network, taps: [] } });
  expect(without.linux.devices).toBeUndefined();
});

test("the host's mounts are below the share, read-only where the user says so", () => {
  const bound = (source: string, readOnly: boolean) =>
    ({ type: "bind", source, target: "/x", readOnly, options: [] }) as const;
  const tmpfs = { type: "tmpfs", source: "", target: "/t", readOnly: false, options: [] } as const;
  const { mounts, linux, process } = jailConfig(
    { ...spec, mounts: [bound("/a", true), tmpfs, bound("/b", false)] },
    facts,
  );
  const shown = mounts.filter(({ destination }) => destination.startsWith("/share"));
  expect(shown.map(({ source, destination, options }) => [source, destination, options.at(-1)])).toEqual([
    ["/a", "/share/0", "ro"],
    ["/b", "/share/1", "rw"],
  ]);
  // A file there may be larger than the writable disk, and QEMU makes files.
  expect(process.rlimits?.map(({ type }) => type)).not.toContain("RLIMIT_FSIZE");
  expect(linux.seccomp?.syscalls.flatMap(({ names }) => names)).toContain("mkdirat");
});

test("the filter lets no process be made, no namespace, and no socket but a local one", () => {
  const rules = jailConfig(spec, facts).linux.seccomp?.syscalls ?? [];
  const open = rules.filter(({ args }) => args === undefined).flatMap(({ names }) => names);
  const shut =
    "clone fork vfork unshare setns mount umount2 pivot_root chroot mknod ptrace process_vm_readv process_vm_writev " +
    "kcmp bpf perf_event_open userfaultfd io_uring_setup keyctl add_key kill setuid setpriority sched_setscheduler " +
    "socket bind ioctl name_to_handle_at open_by_handle_at memfd_create link symlink rename unlink mkdir personality";
  for (const name of shut.split(" ")) expect(open).not.toContain(name);
  expect(new Set(open).size).toBe(open.length);
});

test("a path too long for a socket is refused with its length", () => {
  const runtimeDirectory = `/run/${"x".repeat(100)}`;
  expect(() => layoutOf({ runtimeDirectory, directory: "/" })).toThrow("longer than a socket's address");
});
