import { expect, test } from "bun:test";
import { type Machine, maximumLayers, networkCards, qemuArguments } from "./arguments.ts";

const machine: Machine = {
  qemu: "/usr/bin/qemu-system-x86_64",
  name: "hull-0123456789ab",
  acceleration: "kvm",
  memoryBytes: 128 * 1024 * 1024,
  processors: 2,
  kernel: "/boot/vmlinux",
  initramfs: "/boot/initramfs.cpio",
  agentSocket: "path=/vm/agent",
  monitorSocket: "fd=4",
  layers: ["/layers/0", "/layers/1"],
  disks: ["/disks/0.raw"],
  share: "/share",
  taps: ["tap0"],
};

test("the arguments of a machine with two layers", () => {
  expect(qemuArguments(machine)).toEqual([
    "/usr/bin/qemu-system-x86_64",
    ...["-name", "hull-0123456789ab"],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    "-machine",
    "q35,smbus=off,sata=off,usb=off,vmport=off,smm=off,hpet=off,graphics=off",
    ...["-accel", "kvm", "-cpu", "max", "-smp", "2", "-m", "size=128M"],
    ...["-bios", "qboot.rom", "-kernel", "/boot/vmlinux", "-initrd", "/boot/initramfs.cpio"],
    "-append",
    "console=ttyS0 quiet loglevel=4 panic=-1 reboot=t 8250.nr_uarts=1 random.trust_cpu=on init_on_alloc=0 " +
      "cryptomgr.notests audit=0 tsc=reliable no_timer_check lsm=landlock psi=0 noautogroup",
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
    ...["-chardev", "socket,id=monitor,fd=4,server=on,wait=off", "-mon", "chardev=monitor,mode=control"],
    ...["-chardev", "socket,id=agent,path=/vm/agent,server=on,wait=off"],
    ...["-device", "virtio-serial-pci,max_ports=2,addr=0x1.0,multifunction=on"],
    ...["-device", "virtserialport,chardev=agent,name=hull.agent"],
    "-blockdev",
    '{"driver":"raw","node-name":"writable0","read-only":false,"discard":"unmap","file":{"driver":"file","node-name":"writable0-file","filename":"/disks/0.raw","auto-read-only":true}}',
    ...[
      "-device",
      "virtio-blk-pci,drive=writable0,serial=writable,werror=report,rerror=report,queue-size=64,addr=0x1.1,multifunction=on",
    ],
    ...["-fsdev", "local,id=share,path=/share,security_model=none,multidevs=remap"],
    ...["-device", "virtio-9p-pci,fsdev=share,mount_tag=share,addr=0x1.2,multifunction=on"],
    ...["-device", "virtio-balloon-pci,free-page-reporting=on,addr=0x1.7,multifunction=on"],
    ...["-netdev", "tap,id=card0,ifname=tap0,script=no,downscript=no,vnet_hdr=on"],
    ...[
      "-device",
      "virtio-net-pci,id=card0,romfile=,guest_announce=off,addr=0x1.3,multifunction=on,netdev=card0",
    ],
    ...["-device", "virtio-net-pci,id=card1,romfile=,guest_announce=off,addr=0x1.4,multifunction=on"],
    ...["-device", "virtio-net-pci,id=card2,romfile=,guest_announce=off,addr=0x1.5,multifunction=on"],
    ...["-device", "virtio-net-pci,id=card3,romfile=,guest_announce=off,addr=0x1.6,multifunction=on"],
    "-blockdev",
    '{"driver":"raw","node-name":"layer0","read-only":true,"discard":"ignore","file":{"driver":"file","filename":"/layers/0","locking":"off"}}',
    ...[
      "-device",
      "virtio-blk-pci,drive=layer0,serial=layer0,werror=report,rerror=report,queue-size=64,addr=0x2.0,multifunction=on",
    ],
    "-blockdev",
    '{"driver":"raw","node-name":"layer1","read-only":true,"discard":"ignore","file":{"driver":"file","filename":"/layers/1","locking":"off"}}',
    ...[
      "-device",
      "virtio-blk-pci,drive=layer1,serial=layer1,werror=report,rerror=report,queue-size=64,addr=0x2.1,multifunction=on",
    ],
    ...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
  ]);
});

test("emulation is asked for by name, and pays for no mitigations", () => {
  const args = qemuArguments({ ...machine, acceleration: "tcg" });
  expect(args[args.indexOf("-accel") + 1]).toBe("tcg,tb-size=128");
  expect(args[args.indexOf("-append") + 1]).toEndWith(" mitigations=off");
});

test("every layer of the largest image has a place of its own on the bus", () => {
  const layers = Array.from({ length: maximumLayers }, (_, index) => `/layers/${index}`);
  const places = qemuArguments({ ...machine, layers }).flatMap(
    (arg) => /addr=(0x[0-9a-f]+\.\d)/.exec(arg)?.[1] ?? [],
  );
  // The port, the writable disk, the share, the balloon and the cards are there, too.
  expect(places.length).toBe(maximumLayers + 4 + networkCards);
  expect(new Set(places).size).toBe(places.length);
  const slots = places.map((place) => Number.parseInt(place, 16));
  // The chipset has the slots 0 and 31.
  expect(Math.min(...slots)).toBe(1);
  expect(Math.max(...slots)).toBe(30);
});

test("a machine that is saved and one that is made of it differ in nothing that the saved state knows of", () => {
  const template = { memory: "/proc/self/fd/3", layerPlaces: 3 };
  const { disks: _, ...empty } = { ...machine, layers: [], taps: [] };
  const saved = qemuArguments({ ...empty, taps: ["blind"], template: { ...template, step: "save" } });
  expect(saved[saved.indexOf("-append") + 1]).toContain(" HULL_CARD=1");
  const restored = qemuArguments({ ...machine, template: { ...template, step: "restore" } });
  const devices = (args: readonly string[]): readonly string[] =>
    args
      .filter((_, index) => ["-device", "-machine", "-cpu", "-smp", "-m"].includes(args[index - 1] ?? ""))
      // What is behind a disk is not in the state, and behind a network card it is agreed on when the guest uses it.
      .map((device) => device.replace(/,netdev=.*/, "").replace(/drive=[^,]+/, ""));
  expect(devices(restored)).toEqual(devices(saved));
  expect(devices(saved).filter((device) => device.startsWith("virtio-blk-pci"))).toHaveLength(5);
  expect(saved).toContain("memory-backend-file,id=memory,size=128M,mem-path=/proc/self/fd/3,share=on");
  expect(restored).toContain("memory-backend-file,id=memory,size=128M,mem-path=/proc/self/fd/3,share=off");
  expect(restored.slice(restored.indexOf("-incoming"), restored.indexOf("-incoming") + 2)).toEqual([
    "-incoming",
    "defer",
  ]);
  const refined = qemuArguments({ ...machine, template: { ...template, step: "refine" } });
  expect(devices(refined)).toEqual(devices(saved));
  expect(refined).toContain("memory-backend-file,id=memory,size=128M,mem-path=/proc/self/fd/3,share=on");
  for (const args of [restored, refined]) expect(args).not.toContain("-kernel");
  for (const args of [saved, restored]) expect(args.at(-1)).toContain("spawn=deny");
});
