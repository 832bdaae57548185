/**
 * The container that QEMU runs in: a pure function. An escape from the guest lands where there are only QEMU's
 * own files, no network, no capabilities, and a user that owns nothing else. docs/jail.md says what that leaves, line
 * by line, and hostile.test.ts tries it.
 */
import { relative } from "node:path";
import type { OciConfig, OciMount } from "../oci/config.ts";
import type { SandboxSpec } from "../wall.ts";
import { type Acceleration, qemuArguments, type TemplateStep } from "./arguments.ts";
import { hasUserNamespace, idsOfNamespace, sharesOf } from "./jail-identity.ts";
import { jailed, type VmLayout } from "./layout.ts";
import { qemuSystemCalls } from "./system-calls.ts";

export interface JailFacts {
  readonly qemu: string;
  readonly acceleration: Acceleration;
  readonly layout: VmLayout;
  readonly cgroup: string;
  readonly user: number;
  /** Where device nodes are, for a jail in a user name space. */
  readonly nodes?: { readonly kvm?: string; readonly tunnel?: string };
  readonly memoryBytes: number;
  /** Size of the writable disk. */
  readonly diskBytes: number;
  /** See arguments.ts. */
  readonly freshDisk?: boolean;
  readonly processors: number;
  readonly kernel: string;
  readonly initramfs: string;
  readonly discard: string;
  readonly thaw: string;
  /** What the host has of QEMU: its program, the directories of its libraries and of its firmware. */
  readonly programs: readonly string[];
  readonly canLimitSwap: boolean;
  /** Names of the files in `layout.disks` that make up the writable disk. */
  readonly disks?: readonly string[];
  /** It is given its layers later. */
  readonly waits?: boolean;
  /** There is a layer for it to rehearse with, among those that it waits for. */
  readonly rehearses?: boolean;
  /** The same, of a machine that is given its layers later although the jail shows them: where the host has it. */
  readonly rehearsal?: string;
  /** A machine that had booted and was saved. */
  readonly savedMemory?: { readonly path: string; readonly emptyBytes: number };
  /** Device number of /dev/kvm, if it is used. */
  readonly kvm: { readonly major: number; readonly minor: number } | undefined;
  /**
   * The sandbox's network name space with the taps in it, which belong to QEMU's user (`ip tuntap add … user UID`);
   * without it, QEMU has an empty one of its own.
   */
  readonly network?: { readonly namespace: string; readonly taps: readonly string[] };
  readonly template?: TemplateStep & {
    /** Bytes of the template's memory that hold nothing: pages that a guest is the first to use count as its own. */
    readonly emptyBytes: number;
  };
}

/** /dev/net/tun (Linux, admin-guide/devices.txt). QEMU can open no tap but those that its user owns. */
export const tunnel = { major: 10, minor: 200 };

/**
 * glibc then asks for huge pages for its heap. QEMU fills several megabytes of it when it starts: each page of 4 KiB is a fault,
 * and they are a sixth of that time.
 */
const heapOfHugePages = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1";

/** What QEMU itself takes at most, beside the guest's memory and its disks. */
const overheadBytes = 256 * 1024 * 1024;
/**
 * QEMU 10 makes a view of the memory for each device whenever one is added, and lets the old ones go together when it
 * runs: 100 disks took 0.8 GB before the guest's first instruction (with 7.2 nothing to speak of).
 */
const viewBytes = 96 * 1024;
/** Threads: one per processor, and those that do input and output. */
const overheadProcesses = 96;
const period = 100_000;

export function jailConfig(spec: Pick<SandboxSpec, "id" | "layers" | "mounts">, facts: JailFacts): OciConfig {
  const { template, disks = [] } = facts;
  const emptyBytes = template?.emptyBytes ?? facts.savedMemory?.emptyBytes ?? 0;
  const places = template?.layerPlaces ?? spec.layers.length;
  const limit = facts.memoryBytes + overheadBytes + places ** 2 * viewBytes + emptyBytes;
  // One that booted has its kernel among its devices, too.
  const boots = template === undefined ? true : template.step === "save";
  const isProcess = template?.isProcess ?? false;
  const devices = devicesOf(facts);
  const shares = sharesOf(spec);
  const mapped = hasUserNamespace(spec);
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: mapped
        ? { uid: 0, gid: 0, additionalGids: [] }
        : { uid: facts.user, gid: facts.user, additionalGids: [] },
      args: isProcess
        ? [jailed.thaw]
        : qemuArguments({
            qemu: facts.qemu,
            name: `hull-${spec.id.slice(0, 12)}`,
            acceleration: facts.acceleration,
            memoryBytes: facts.memoryBytes,
            processors: facts.processors,
            kernel: jailed.kernel,
            initramfs: jailed.initramfs,
            agentSocket: jailed.agentSocket,
            monitorSocket: jailed.monitorSocket,
            layers: facts.rehearsal === undefined ? spec.layers.map((_, index) => jailed.layer(index)) : [],
            disks: disks.map((name) => `${jailed.disks}/${name}`),
            freshDisk: facts.freshDisk ?? false,
            ...(facts.waits || facts.rehearsal !== undefined ? { waits: true } : {}),
            ...(facts.rehearses || facts.rehearsal !== undefined ? { rehearsal: jailed.rehearsal } : {}),
            ...(facts.savedMemory === undefined ? {} : { savedMemory: facts.savedMemory.path }),
            share: jailed.share,
            taps: facts.network?.taps ?? [],
            ...(template === undefined ? {} : { template }),
          }),
      // For a machine whose memory is a file that is everybody's, and that many others are alike (guest/jail).
      env: boots ? [] : [`LD_PRELOAD=${jailed.discard}`, heapOfHugePages],
      cwd: "/",
      capabilities: capabilitiesOf(mapped ? fileServerCapabilities : []),
      noNewPrivileges: true,
      rlimits: limitsOf(shares.length > 0 ? undefined : facts.diskBytes),
    },
    // From the bundle: no directory above has to let the root of a user name space through.
    root: {
      path: mapped ? relative(facts.layout.bundle, facts.layout.root) : facts.layout.root,
      readonly: true,
    },
    // Of the host's name there is no need to know.
    hostname: "jail",
    mounts: [
      // Processes and nothing else: no /proc/sys, no /proc/kcore, no figures of the host.
      {
        destination: "/proc",
        type: "proc",
        source: "proc",
        options: ["nosuid", "noexec", "nodev", "subset=pid"],
      },
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "noexec", "mode=755", "size=64k", "nr_inodes=64"],
      },
      ...facts.programs.map((path) => bind(path, path, "ro")),
      ...(boots
        ? [
            bind(facts.kernel, jailed.kernel, "noexec", "ro"),
            bind(facts.initramfs, jailed.initramfs, "noexec", "ro"),
          ]
        : [bind(facts.discard, jailed.discard, "ro")]),
      ...(isProcess ? [bind(facts.thaw, jailed.thaw, "ro")] : []),
      ...spec.layers.map((path, index) => bind(path, jailed.layer(index), "noexec", "ro")),
      ...(facts.rehearsal === undefined ? [] : [bind(facts.rehearsal, jailed.rehearsal, "noexec", "ro")]),
      ...(facts.waits ? [bind(facts.layout.layers, jailed.layers, "noexec", "ro")] : []),
      bind(facts.layout.disks, jailed.disks, "noexec", "rw"),
      // Read-only here, too: the guest's word is not relied on.
      ...shares.map(({ source, readOnly }, index) =>
        bind(source, `${jailed.share}/${index}`, "idmap", "noexec", readOnly ? "ro" : "rw"),
      ),
      bind(facts.layout.sockets, jailed.sockets, "noexec", "ro"),
      ...(mapped ? nodeMounts(facts) : []),
    ],
    linux: {
      cgroupsPath: facts.cgroup,
      namespaces: [
        { type: "pid" },
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
        { type: "network", ...(facts.network === undefined ? {} : { path: facts.network.namespace }) },
        { type: "cgroup" },
        ...(mapped ? [{ type: "user" } as const] : []),
      ],
      ...(mapped ? { uidMappings: idsFrom(facts.user), gidMappings: idsFrom(facts.user) } : {}),
      seccomp: qemuSystemCalls({ servesFiles: shares.length > 0 }),
      ...(devices.length === 0 || mapped ? {} : { devices }),
      resources: {
        devices: [
          { allow: false, access: "rwm" },
          ...devices.map(({ type, major, minor }) => ({ allow: true, type, major, minor, access: "rw" })),
        ],
        memory: { limit, ...(facts.canLimitSwap ? { swap: limit } : {}) },
        // The guest's processors bound it; one more is for QEMU's own work.
        cpu: { quota: (facts.processors + 1) * period, period },
        pids: { limit: overheadProcesses + facts.processors },
      },
    },
  };
}

function devicesOf({ kvm, network, user }: JailFacts) {
  const own = { type: "c" as const, fileMode: 0o600, uid: user, gid: user };
  return [
    ...(kvm === undefined ? [] : [{ path: "/dev/kvm", ...kvm, ...own }]),
    ...((network?.taps.length ?? 0) === 0 ? [] : [{ path: "/dev/net/tun", ...tunnel, ...own }]),
  ];
}

/** What it takes to make and give away files for the guest (9p), over the ids of the name space only. */
const fileServerCapabilities = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID"].map(
  (name) => `CAP_${name}`,
);

function capabilitiesOf(names: readonly string[]) {
  return { bounding: names, effective: names, permitted: names, inheritable: [], ambient: [] };
}

function idsFrom(first: number) {
  return [{ containerID: 0, hostID: first, size: idsOfNamespace }];
}

/** No device can be made in a user name space: they are bound. */
function nodeMounts({ nodes = {} }: JailFacts): OciMount[] {
  const node = (source: string | undefined, destination: string): OciMount[] =>
    source === undefined
      ? []
      : [{ destination, type: "bind", source, options: ["bind", "rprivate", "nosuid", "noexec"] }];
  return [...node(nodes.kvm, "/dev/kvm"), ...node(nodes.tunnel, "/dev/net/tun")];
}

/** Room for a disk's file or two for each layer, and QEMU's own. */
const mostDescriptors = 1024;

/** Bytes: crun writes the compiled filter when the limits hold already. */
const smallestFile = 1024 * 1024;

/** What a file of the writable disk that lies over others takes beside the disk's blocks (qcow2), as a share of them. */
const diskOverhead = 1 / 64;

/** `diskBytes`: the size of the only disk that QEMU can write to; undefined when it serves more. */
function limitsOf(diskBytes: number | undefined) {
  const most = (type: string, value: number) => ({ type, hard: value, soft: value });
  return [
    // A core would lay the guest's memory on the host's disk.
    most("RLIMIT_CORE", 0),
    most("RLIMIT_MEMLOCK", 0),
    most("RLIMIT_MSGQUEUE", 0),
    most("RLIMIT_NOFILE", mostDescriptors),
    // A file must not outgrow the disk that it is.
    ...(diskBytes === undefined
      ? []
      : [most("RLIMIT_FSIZE", Math.max(diskBytes * (1 + diskOverhead), smallestFile))]),
  ];
}

function bind(source: string, destination: string, ...more: ("idmap" | "noexec" | "ro" | "rw")[]): OciMount {
  const flags = ["rbind", "rprivate", "nosuid", "nodev", ...more];
  return { destination, type: "bind", source, options: flags };
}
