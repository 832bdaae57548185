/** QEMU's command line for one VM: a pure function, so that it can be compared with a file. */
import { portName } from "./protocol.ts";

export type Acceleration = "kvm" | "tcg";

export interface Machine {
  readonly qemu: string;
  readonly name: string;
  readonly acceleration: Acceleration;
  readonly memoryBytes: number;
  readonly processors: number;
  readonly kernel: string;
  readonly initramfs: string;
  readonly agentSocket: string;
  readonly monitorSocket: string;
  /** Read-only disks, bottom layer first. */
  readonly layers: readonly string[];
  readonly disk?: string;
  /** A machine that is saved as a template, or made of one. */
  readonly template?: TemplateStep;
}

/**
 * Every difference between the two steps is one that the saved state does not know of: where the memory is, what
 * is behind the disks, and that nothing is booted.
 */
export interface TemplateStep {
  readonly step: "save" | "restore";
  /** File of the guest's memory: written to when saving, copied on write when restoring. */
  readonly memory: string;
  /** Places for layers; those that the image does not fill are empty disks. */
  readonly layerPlaces: number;
}

/** Slots 0 and 31 are the chipset's. */
const firstSlot = 1;
const slots = 31;
const functionsPerSlot = 8;

/** What the machine has although nobody asked for it. */
const withoutDevices = "smbus=off,sata=off,usb=off,vmport=off,smm=off,hpet=off,graphics=off";

/** Memory for translated code; by default it could grow to one GiB, beyond what the jail allows. */
const translationMebibytes = 128;

/** Most layers that find a place on the machine's bus, beside the port and the writable disk. */
export const maximumLayers = (slots - firstSlot) * functionsPerSlot - 2;

/** Under emulation, the guest's page tables have four levels rather than five: each level is walked by software. */
const processors = { kvm: "max", tcg: "max,la57=off" } as const;

export function qemuArguments(machine: Machine): string[] {
  const { template } = machine;
  const disks = disksOf(machine);
  return [
    machine.qemu,
    ...["-name", machine.name],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-machine", `q35,${withoutDevices}${template === undefined ? "" : ",memory-backend=memory"}`],
    ...["-accel", machine.acceleration === "kvm" ? "kvm" : `tcg,tb-size=${translationMebibytes}`],
    ...["-cpu", processors[machine.acceleration]],
    ...["-smp", String(machine.processors)],
    ...["-m", `size=${Math.ceil(machine.memoryBytes / 1024 / 1024)}M`],
    ...(template === undefined ? firmware : templateArguments(machine, template)),
    ...(template?.step === "restore"
      ? []
      : ["-kernel", machine.kernel, "-initrd", machine.initramfs, "-append", kernelArguments(machine)]),
    // QEMU's own messages and the guest's console go the same way.
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
    ...["-qmp", `unix:${machine.monitorSocket},server=on,wait=off`],
    ...["-chardev", `socket,id=agent,path=${machine.agentSocket},server=on,wait=off`],
    ...["-device", `virtio-serial-pci,max_ports=2,${placeOf(0)}`],
    ...["-device", `virtserialport,chardev=agent,name=${portName}`],
    ...disks.flatMap((disk, index) => [
      ...["-blockdev", JSON.stringify(disk)],
      ...[
        "-device",
        `virtio-blk-pci,drive=${disk["node-name"]},serial=${disk["node-name"]},${errors},${queue},${placeOf(index + 1)}`,
      ],
    ]),
    ...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
  ];
}

/** Firmware that starts the given kernel and looks for nothing to boot on the disks (part of QEMU). */
const firmware = ["-bios", "qboot.rom"];

/**
 * A template boots once, so it can take the slower firmware, which knows of the device that tells the guest's
 * kernel that it is a copy (vmgenid): each start gets a number of its own there.
 */
function templateArguments({ memoryBytes }: Machine, { step, memory }: TemplateStep): string[] {
  const share = step === "save" ? "on" : "off";
  const size = Math.ceil(memoryBytes / 1024 / 1024);
  return [
    ...["-object", `memory-backend-file,id=memory,size=${size}M,mem-path=${memory},share=${share}`],
    ...["-device", "vmgenid,guid=auto"],
    ...(step === "restore" ? ["-incoming", "defer"] : []),
  ];
}

/** A failure of the host's disk (it may be full) is the guest's to see; by default QEMU would stop the machine. */
const errors = "werror=report,rerror=report";
/** The guest sets memory aside for each request that a queue can hold: half a megabyte per disk by default. */
const queue = "queue-size=64";

/** Eight devices share a slot as its functions: a bus has 32 slots, an image may have more layers. */
function placeOf(index: number): string {
  const slot = firstSlot + Math.floor(index / functionsPerSlot);
  return `addr=0x${slot.toString(16)}.${index % functionsPerSlot},multifunction=on`;
}

function disksOf({ layers, disk, template }: Machine) {
  const places = Array.from({ length: template?.layerPlaces ?? layers.length }, (_, index) => {
    const path = layers[index];
    return path === undefined ? emptyDisk(`layer${index}`, true) : diskOf(`layer${index}`, path, true);
  });
  if (disk !== undefined) return [...places, diskOf("writable", disk, false)];
  return template === undefined ? places : [...places, emptyDisk("writable", false)];
}

/** Stands for a disk in a template; large enough for any that takes its place, for the guest keeps the size. */
function emptyDisk(name: string, readOnly: boolean) {
  return { driver: "null-co", "node-name": name, "read-only": readOnly, size: 2 ** 40, "read-zeroes": true };
}

function diskOf(name: string, filename: string, readOnly: boolean) {
  return {
    driver: "raw",
    "node-name": name,
    "read-only": readOnly,
    discard: readOnly ? "ignore" : "unmap",
    file: { driver: "file", filename, ...(readOnly ? { locking: "off" } : {}) },
  };
}

/**
 * The guest's kernel arguments. A panic ends QEMU at once (panic=-1 with -no-reboot). What takes time at boot
 * and tells a VM nothing is left out. The processor that TCG emulates does not speculate, so mitigations would
 * only cost there.
 */
function kernelArguments({ acceleration }: Machine): string {
  return [
    ...["console=ttyS0", "quiet", "loglevel=4", "panic=-1", "reboot=t", "8250.nr_uarts=1"],
    ...[
      "random.trust_cpu=on",
      "init_on_alloc=0",
      "cryptomgr.notests",
      "audit=0",
      "tsc=reliable",
      "no_timer_check",
    ],
    ...(acceleration === "tcg" ? ["mitigations=off"] : []),
  ].join(" ");
}
