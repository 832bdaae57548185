/**
 * A virtual machine without Hull: the same QEMU, kernel and processor, with a directory shared by 9p or virtiofs or a
 * disk of its own, that runs `volume-work.sh` and ends. What it needs is made once and kept in .cache.
 */
import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot, runProgram } from "../test/support/daemon.ts";
import { debianTar, once } from "../test/support/images.ts";
import { until } from "../test/support/until.ts";

const guest = join(projectRoot, ".cache/guest");

export interface VolumeBench {
  /** The unpacked image, with fio, `/work.sh` and `/files.tar`. */
  readonly rootfs: string;
  /** The same as a tar, and as an ext4 file system. */
  readonly tar: string;
  readonly disk: string;
  readonly initramfs: string;
}

/** Needs the network. */
export async function volumeBench(files: number): Promise<VolumeBench> {
  const base = await debianTar(["fio"]);
  const work = await readFile(join(projectRoot, "bench/volume-work.sh"), "utf8");
  const path = await once(`volumes-bench-${files}-${Bun.hash(work).toString(36)}`, async (made) => {
    const rootfs = join(made, "rootfs");
    await mkdir(join(rootfs, "data"), { recursive: true });
    await must(["tar", "-xf", base, "-C", rootfs]);
    await writeFile(join(rootfs, "work.sh"), work, { mode: 0o755 });
    const tree = join(made, "tree");
    const script = `for d in $(seq ${files / 100}); do mkdir -p d$d; for f in $(seq 100); do head -c 1024 /dev/zero > d$d/f$f; done; done`;
    await mkdir(tree);
    await must(["sh", "-c", `cd ${tree} && ${script} && tar -cf ${rootfs}/files.tar .`]);
    await rm(tree, { recursive: true });
    await must(["tar", "-C", rootfs, "-cf", join(made, "image.tar"), "."]);
    await must(["mke2fs", "-q", "-t", "ext4", "-d", rootfs, join(made, "root.ext4"), "800M"]);
    await makeInitramfs(made);
  });
  const at = (name: string): string => join(path, name);
  return { rootfs: at("rootfs"), tar: at("image.tar"), disk: at("root.ext4"), initramfs: at("initramfs") };
}

/** Hull's modules, and those of virtiofs from the same kernel package. */
async function makeInitramfs(made: string): Promise<void> {
  const tree = join(made, "init");
  await mkdir(join(tree, "bin"), { recursive: true });
  await mkdir(join(tree, "modules"));
  await copyFile(Bun.which("busybox") ?? "", join(tree, "bin/busybox"));
  const release = (await readFile(join(guest, "kernel/release"), "utf8")).trim();
  const download = `apt-get download -q -o APT::Sandbox::User=root linux-image-${release} && dpkg-deb -x linux-image-*.deb unpacked`;
  await must(["sh", "-c", `cd ${made} && ${download}`]);
  const fuse = join(made, "unpacked/lib/modules", release, "kernel/fs/fuse");
  const copy = `cp ${guest}/kernel/modules/*.ko ${fuse}/fuse.ko ${fuse}/virtiofs.ko ${tree}/modules/ && rm -r unpacked linux-image-*.deb`;
  await must(["sh", "-c", `cd ${made} && ${copy}`]);
  const lists = ["list", "later"].map((name) => readFile(join(guest, "kernel/modules", name), "utf8"));
  await writeFile(join(tree, "modules/list"), `${(await Promise.all(lists)).join("")}fuse.ko\nvirtiofs.ko\n`);
  await writeFile(join(tree, "init"), init);
  await chmod(join(tree, "init"), 0o755);
  await must(["sh", "-c", `cd ${tree} && find . | cpio -o -H newc --quiet > ${join(made, "initramfs")}`]);
}

const init = `#!/bin/busybox sh
export PATH=/bin
mkdir() { busybox mkdir -p "$@"; }
mkdir /proc /sys /dev /root
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
for module in $(busybox cat /modules/list); do busybox insmod /modules/$module; done
word() { busybox sed -n "s/.*$1=\\([^ ]*\\).*/\\1/p" /proc/cmdline; }
busybox mount -t ext4 -o ro /dev/vda /root
busybox mount -t tmpfs tmp /root/tmp
busybox mount --bind /dev /root/dev
case $(word kind) in
9p) busybox mount -t 9p -o trans=virtio,version=9p2000.L,$(word with) share /root/data ;;
virtiofs) busybox mount -t virtiofs share /root/data ;;
disk) busybox mount -t ext4 /dev/vdb /root/data ;;
esac
busybox chroot /root /work.sh /data $(word seconds)
busybox poweroff -f
`;

export interface Sharing {
  readonly kind: "9p" | "virtiofs" | "disk";
  /** Mount options of 9p; the cache mode of virtiofsd. */
  readonly with: string;
}

/** What the work says, by a machine that shares an empty directory in this way. */
export async function runBareGuest(bench: VolumeBench, sharing: Sharing, seconds: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "g-"));
  const [share, socket] = [join(directory, "share"), join(directory, "socket")];
  await mkdir(share);
  const server = sharing.kind === "virtiofs" ? startServer(share, socket, sharing.with) : undefined;
  try {
    if (server !== undefined) await until("virtiofsd listens", () => existsSync(socket));
    const devices = await devicesOf(sharing, share, socket, directory);
    const { stdout, stderr, code } = await runProgram(
      [
        ...["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
        ...["-machine", "q35", "-accel", "tcg,tb-size=64", "-cpu", "max,la57=off", "-smp", "1", "-m", "256"],
        ...["-kernel", join(guest, "vmlinux"), "-initrd", bench.initramfs, "-serial", "stdio"],
        "-append",
        `console=ttyS0 quiet kind=${sharing.kind} with=${sharing.with} seconds=${seconds}`,
        ...["-drive", `file=${bench.disk},format=raw,if=virtio,readonly=on`],
        ...devices,
      ],
      { timeoutMs: 600_000 },
    );
    if (code !== 0) throw new Error(`QEMU ended with ${code}: ${stderr}`);
    return stdout;
  } finally {
    server?.kill();
    await server?.exited;
    await rm(directory, { recursive: true, force: true });
  }
}

async function devicesOf(
  { kind }: Sharing,
  share: string,
  socket: string,
  directory: string,
): Promise<string[]> {
  switch (kind) {
    case "9p":
      return [
        ...["-fsdev", `local,id=share,path=${share},security_model=none,multidevs=remap`],
        ...["-device", "virtio-9p-pci,fsdev=share,mount_tag=share"],
      ];
    case "virtiofs":
      return [
        ...["-object", "memory-backend-memfd,id=memory,size=256M,share=on", "-numa", "node,memdev=memory"],
        ...["-chardev", `socket,id=share,path=${socket}`],
        ...["-device", "vhost-user-fs-pci,chardev=share,tag=share"],
      ];
    case "disk": {
      const disk = join(directory, "disk");
      await must(["sh", "-c", `truncate -s 1G ${disk} && mke2fs -q -F -t ext4 ${disk}`]);
      return ["-drive", `file=${disk},format=raw,if=virtio`];
    }
  }
}

/** Debian's virtiofsd in C, part of QEMU 7.2. */
function startServer(share: string, socket: string, cache: string): Bun.Subprocess {
  const options = `source=${share},cache=${cache},sandbox=namespace`;
  return Bun.spawn(["/usr/lib/qemu/virtiofsd", `--socket-path=${socket}`, "-o", options], {
    stdio: ["ignore", "ignore", "ignore"],
  });
}

async function must(command: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await runProgram(command, { timeoutMs: 600_000 });
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${stderr}${stdout}`);
}
