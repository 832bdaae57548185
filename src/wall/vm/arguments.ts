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
  /** Where QEMU listens, in the words of its -chardev: `path=FILE`, or `fd=NUMBER` of a listening socket. */
  readonly agentSocket: string;
  readonly monitorSocket: string;
  /** Read-only disks, bottom layer first. */
  readonly layers: readonly string[];
  /** The writable disk: what it is based on, lowest first, and at last the file that is written to. */
  readonly disks?: readonly string[];
  /** The disk is the template's as it was saved, and mounted by the guest already. */
  readonly freshDisk?: boolean;
  /** Directory that the guest may mount through 9p. */
  readonly share: string;
  /** Taps in QEMU's network name space: what is behind the first network cards. The others have nothing behind. */
  readonly taps: readonly string[];
  /** A machine that is saved as a template, or made of one. */
  readonly template?: TemplateStep;
  /** A machine that waits for its layers: what stands for them can be exchanged. */
  readonly waits?: boolean;
  /** Of a machine that waits: file that stands for the lowest layer. */
  readonly rehearsal?: string;
  /** A machine that had booted and was saved: file of its memory, copied on write. */
  readonly savedMemory?: string;
}

/**
 * Every difference between the steps is one that the saved state does not know of: where the memory is, what
 * is behind the disks, and that nothing is booted. `refine`: a copy that is saved as a template itself.
 */
export interface TemplateStep {
  readonly step: "save" | "restore" | "refine";
  /** File of the guest's memory: written to when saving and when refining, copied on write when restoring. */
  readonly memory: string;
  /** Places for layers; those that the image does not fill are empty disks. */
  readonly layerPlaces: number;
  /** The copy goes on as the process that was saved with it. */
  readonly isProcess?: boolean;
}

/** Slots 0 and 31 are the chipset's. */
const firstSlot = 1;
const slots = 31;
const functionsPerSlot = 8;

/** What the machine has although nobody asked for it. */
const withoutDevices = "smbus=off,sata=off,usb=off,vmport=off,smm=off,hpet=off,graphics=off";

/** Memory for translated code; by default it could grow to one GiB, beyond what the jail allows. */
const translationMebibytes = 128;

/**
 * Network cards of every machine. One without a tap costs next to nothing, and none can get one while the machine
 * runs: a workload that may be connected to more networks has taps for all of them from its start.
 */
export const networkCards = 4;

/**
 * Functions of the first slots. A template has two places for the writable disk: one of a new workload is a copy of the
 * template's own, which the guest mounted before it was saved, and cannot take for another that looks different.
 */
const functions = {
  port: 0,
  disk: 1,
  share: 2,
  card: (index: number) => 3 + index,
  balloon: 7,
  freshDisk: functionsPerSlot,
  // A slot without a first function has none at all.
  layer: (index: number, template: boolean) => functionsPerSlot + (template ? 1 : 0) + index,
} as const;

/** Most layers that find a place on the machine's bus. */
export const maximumLayers = (slots - firstSlot - 1) * functionsPerSlot;

/** Under emulation, the guest's page tables have four levels rather than five: each level is walked by software. */
const processors = { kvm: "max", tcg: "max,la57=off" } as const;

export function qemuArguments(machine: Machine): string[] {
  const { template } = machine;
  return [
    machine.qemu,
    ...["-name", machine.name],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-machine", `q35,${withoutDevices}${backendOf(machine)}`],
    ...["-accel", machine.acceleration === "kvm" ? "kvm" : `tcg,tb-size=${translationMebibytes}`],
    ...["-cpu", processors[machine.acceleration]],
    ...["-smp", String(machine.processors)],
    ...["-m", `size=${Math.ceil(machine.memoryBytes / 1024 / 1024)}M`],
    ...(template === undefined ? firmware : templateArguments(machine, template)),
    ...(machine.savedMemory === undefined ? [] : incoming(machine, bootedMemory, machine.savedMemory)),
    ...(template !== undefined && template.step !== "save"
      ? []
      : ["-kernel", machine.kernel, "-initrd", machine.initramfs, "-append", kernelArguments(machine)]),
    // QEMU's own messages and the guest's console go the same way.
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
    ...["-chardev", `socket,id=monitor,${machine.monitorSocket},server=on,wait=off`],
    ...["-mon", "chardev=monitor,mode=control"],
    ...["-chardev", `socket,id=agent,${machine.agentSocket},server=on,wait=off`],
    ...["-device", `virtio-serial-pci,max_ports=2,${placeOf(functions.port)}`],
    ...["-device", `virtserialport,chardev=agent,name=${portName}`],
    ...writableDisks(machine),
    ...shareArguments(machine),
    // Only the guest's freed memory goes through it (free page reporting); it is never inflated.
    ...["-device", `virtio-balloon-pci,free-page-reporting=on,${placeOf(functions.balloon)}`],
    ...Array.from({ length: networkCards }, (_, index) => cardArguments(index, machine.taps[index])).flat(),
    ...layerDisks(machine).flatMap((disk, index) =>
      diskArguments(disk, functions.layer(index, machine.template !== undefined)),
    ),
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
  const machineMemory = { memoryBytes };
  return [
    ...(step === "save"
      ? memoryArguments(machineMemory, templateMemory, memory, "on")
      : incoming(machineMemory, templateMemory, memory, step === "refine" ? "on" : "off")),
    ...["-device", "vmgenid,guid=auto"],
  ];
}

/** Names of the guest's memory: that of templates, and the one that QEMU gives it when it is not told one. */
const templateMemory = "memory";
const bootedMemory = "pc.ram";
export const memoryNames: readonly string[] = [templateMemory, bootedMemory];

type MemorySize = Pick<Machine, "memoryBytes">;

function backendOf({ template, savedMemory }: Machine): string {
  if (template !== undefined) return `,memory-backend=${templateMemory}`;
  return savedMemory === undefined ? "" : `,memory-backend=${bootedMemory}`;
}

function memoryArguments({ memoryBytes }: MemorySize, id: string, path: string, share: "on" | "off") {
  const size = Math.ceil(memoryBytes / 1024 / 1024);
  return ["-object", `memory-backend-file,id=${id},size=${size}M,mem-path=${path},share=${share}`];
}

/**
 * The machine waits for its state. By default QEMU would then tell the network of the cards' addresses, five times: they are
 * those of the machine that was saved.
 */
function incoming(size: MemorySize, id: string, path: string, share: "on" | "off" = "off"): string[] {
  return [
    ...memoryArguments(size, id, path, share),
    "-global",
    "migration.announce-rounds=0",
    "-incoming",
    "defer",
  ];
}

/** A failure of the host's disk (it may be full) is the guest's to see; by default QEMU would stop the machine. */
const errors = "werror=report,rerror=report";
/** The guest sets memory aside for each request that a queue can hold: half a megabyte per disk by default. */
const queue = "queue-size=64";

/** A processor has some 200 interrupt vectors, and each disk takes two; those that come later share the bus's lines. */
const placesWithVectors = 80;

/** Eight devices share a slot as its functions: a bus has 32 slots, an image may have more layers. */
function placeOf(index: number): string {
  const slot = firstSlot + Math.floor(index / functionsPerSlot);
  return `addr=0x${slot.toString(16)}.${index % functionsPerSlot},multifunction=on`;
}

/**
 * Nor is the guest to tell the network, whose addresses are to be others. (QEMU 7.2 falls over, too, when a guest resets a card
 * that it has told for: virtio_net_reset stops a timer that is gone.)
 */
const silence = "guest_announce=off";

/**
 * The guest's driver is bound when a card is used, and what the tap can do is agreed on then. A template's first card is
 * bound when the template is made: behind it there has to be a tap then, and in every copy.
 */
function cardArguments(index: number, tap: string | undefined): string[] {
  const id = `card${index}`;
  const place = placeOf(functions.card(index));
  // There is nothing to boot from a network.
  const device = [
    "-device",
    `virtio-net-pci,id=${id},romfile=,${silence},${place}${tap === undefined ? "" : `,netdev=${id}`}`,
  ];
  if (tap === undefined) return device;
  return ["-netdev", `tap,id=${id},ifname=${tap},script=no,downscript=no,vnet_hdr=on`, ...device];
}

/**
 * A file that the guest makes belongs to whoever makes it there if QEMU may give it away, else to QEMU's user; with
 * `passthrough` the latter would be an error.
 */
function shareArguments({ share }: Machine): string[] {
  return [
    ...["-fsdev", `local,id=share,path=${share},security_model=none,multidevs=remap`],
    ...["-device", `virtio-9p-pci,fsdev=share,mount_tag=share,${placeOf(functions.share)}`],
  ];
}

interface Node {
  readonly "node-name": string;
  readonly [property: string]: unknown;
}

interface Disk {
  readonly serial: string;
  readonly node: Node;
}

function diskArguments({ serial, node }: Disk, place: number): string[] {
  const vectors = place < placesWithVectors ? "" : "vectors=0,";
  return [
    ...["-blockdev", JSON.stringify(node)],
    ...[
      "-device",
      `virtio-blk-pci,drive=${node["node-name"]},serial=${serial},${errors},${queue},${vectors}${placeOf(place)}`,
    ],
  ];
}

function layerDisks({ layers, template, waits, rehearsal }: Machine): Disk[] {
  const first = rehearsal === undefined ? nothing : layerFile(rehearsal);
  return Array.from({ length: template?.layerPlaces ?? layers.length }, (_, index) => {
    const path = layers[index];
    const serial = `layer${index}`;
    if (path !== undefined) return { serial, node: { ...layerNode(index), file: layerFile(path) } };
    if (!waits) return { serial, node: emptyDisk(serial, true) };
    return { serial, node: { ...layerNode(index), file: index === 0 ? first : nothing } };
  });
}

function writableDisks({ disks = [], freshDisk = false, template }: Machine): string[] {
  const place = (serial: string, isUsed: boolean): Disk => ({
    serial,
    node: isUsed && disks.length > 0 ? writableFiles(disks) : emptyDisk(`no-${serial}`, false),
  });
  return [
    ...diskArguments(place("writable", !freshDisk), functions.disk),
    ...(template === undefined ? [] : diskArguments(place("fresh", freshDisk), functions.freshDisk)),
  ];
}

/** Stands for what a disk will have; large enough for any that takes its place, for the guest keeps the size. */
const nothing = { driver: "null-co", size: 2 ** 40, "read-zeroes": true };

export function emptyDisk(name: string, readOnly: boolean): Node {
  return { ...nothing, "node-name": name, "read-only": readOnly };
}

/** The place of a layer, without what is in it. */
export function layerNode(index: number): Node {
  return { driver: "raw", "node-name": `layer${index}`, "read-only": true, discard: "ignore" };
}

export function layerFile(filename: string) {
  return { driver: "file", filename, locking: "off" };
}

function writableFiles(files: readonly string[]): Node {
  const last = files.length - 1;
  const node = writableFile(last, files[last] ?? "");
  return last === 0 ? node : { ...node, backing: baseDisk(files.slice(0, -1)) };
}

/** The file of the writable disk that is written to, the `index`-th of those that make it up. */
export function writableFile(index: number, filename: string): Node & { readonly file: Node } {
  return {
    driver: index === 0 ? "raw" : "qcow2",
    "node-name": writableNode(index),
    "read-only": false,
    discard: "unmap",
    // Once nothing is written to it any more, because there is another file over it, QEMU opens it to read only.
    file: { driver: "file", "node-name": `${writableNode(index)}-file`, filename, "auto-read-only": true },
  };
}

export function writableNode(index: number): string {
  return `writable${index}`;
}

function baseDisk(files: readonly string[]): Node {
  const last = files.length - 1;
  return {
    driver: last === 0 ? "raw" : "qcow2",
    "node-name": writableNode(last),
    "read-only": true,
    file: { driver: "file", filename: files[last] ?? "", locking: "off" },
    ...(last === 0 ? {} : { backing: baseDisk(files.slice(0, -1)) }),
  };
}

/**
 * The guest's kernel arguments. A panic ends QEMU at once (panic=-1 with -no-reboot). What takes time at boot
 * and tells a VM nothing is left out. The processor that TCG emulates does not speculate, so mitigations would
 * only cost there.
 */
function kernelArguments({ acceleration, taps, template }: Machine): string {
  return [
    ...["console=ttyS0", "quiet", "loglevel=4", "panic=-1", "reboot=t", "8250.nr_uarts=1"],
    ...[
      "random.trust_cpu=on",
      "init_on_alloc=0",
      "cryptomgr.notests",
      "audit=0",
      "tsc=reliable",
      "no_timer_check",
      // Each hook of a security module is code in the way of every call; the machine has one workload in it.
      "lsm=landlock",
      "psi=0",
      "noautogroup",
    ],
    ...(acceleration === "tcg" ? ["mitigations=off"] : []),
    // The agent finds it in its environment (guest/agent/network.h).
    ...(template !== undefined && taps.length > 0 ? ["HULL_CARD=1"] : []),
  ].join(" ");
}
