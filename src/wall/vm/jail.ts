/**
 * The container that QEMU runs in: a pure function. An escape from the guest lands where there are only QEMU's
 * own files, no network, no capabilities, and a user that owns nothing else.
 *
 * QEMU has a user of its own rather than a user namespace: the runtime would then have to reach the layers and
 * the bundle as that user, through directories that are the daemon's alone.
 */
import type { OciConfig, OciMount } from "../oci/config.ts";
import type { SandboxSpec } from "../wall.ts";
import { type Acceleration, qemuArguments, type TemplateStep } from "./arguments.ts";
import { jailed, type VmLayout } from "./layout.ts";

export interface JailFacts {
  readonly qemu: string;
  readonly acceleration: Acceleration;
  readonly layout: VmLayout;
  readonly cgroup: string;
  readonly user: number;
  readonly memoryBytes: number;
  readonly processors: number;
  readonly kernel: string;
  readonly initramfs: string;
  /** Directories of the host that hold QEMU and its libraries. */
  readonly programs: readonly string[];
  readonly canLimitSwap: boolean;
  /** Device number of /dev/kvm, if it is used. */
  readonly kvm: { readonly major: number; readonly minor: number } | undefined;
  /** The sandbox's network name space with the taps in it; without it, QEMU has one of its own. */
  readonly network?: { readonly namespace: string; readonly taps: readonly string[] };
  readonly template?: TemplateStep & {
    /** Bytes of the template's memory that hold nothing: pages that a guest is the first to use count as its own. */
    readonly emptyBytes: number;
  };
}

/** /dev/net/tun (Linux, admin-guide/devices.txt). QEMU can open no tap but those that its user owns. */
const tunnel = { major: 10, minor: 200 };

/** What QEMU itself takes at most, beside the guest's memory. */
const overheadBytes = 256 * 1024 * 1024;
/** Threads: one per processor, and those that do input and output. */
const overheadProcesses = 96;
const period = 100_000;

export function jailConfig(spec: Pick<SandboxSpec, "id" | "layers" | "mounts">, facts: JailFacts): OciConfig {
  const { template } = facts;
  const limit = facts.memoryBytes + overheadBytes + (template?.emptyBytes ?? 0);
  const boots = template?.step !== "restore";
  // A machine that is saved knows no workload.
  const hasDisk = template?.step !== "save";
  const devices = devicesOf(facts);
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: facts.user, gid: facts.user, additionalGids: [] },
      args: qemuArguments({
        qemu: facts.qemu,
        name: `hull-${spec.id.slice(0, 12)}`,
        acceleration: facts.acceleration,
        memoryBytes: facts.memoryBytes,
        processors: facts.processors,
        kernel: jailed.kernel,
        initramfs: jailed.initramfs,
        agentSocket: jailed.agentSocket,
        monitorSocket: jailed.monitorSocket,
        layers: spec.layers.map((_, index) => jailed.layer(index)),
        ...(hasDisk ? { disk: jailed.disk } : {}),
        share: jailed.share,
        taps: facts.network?.taps ?? [],
        ...(template === undefined ? {} : { template }),
      }),
      env: ["PATH=/usr/bin:/bin"],
      cwd: "/",
      capabilities: { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] },
      noNewPrivileges: true,
      // A core would lay the guest's memory on the host's disk.
      rlimits: [{ type: "RLIMIT_CORE", hard: 0, soft: 0 }],
    },
    root: { path: facts.layout.root, readonly: true },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "noexec", "mode=755", "size=64k"],
      },
      ...facts.programs.map((path) => bind(path, path, "ro")),
      ...(boots
        ? [bind(facts.kernel, jailed.kernel, "ro"), bind(facts.initramfs, jailed.initramfs, "ro")]
        : []),
      ...spec.layers.map((path, index) => bind(path, jailed.layer(index), "ro")),
      ...(hasDisk ? [bind(facts.layout.disk, jailed.disk, "rw")] : []),
      // Read-only here, too: the guest's word is not relied on.
      ...sharesOf(spec.mounts).map(({ source, readOnly }, index) =>
        bind(source, `${jailed.share}/${index}`, readOnly ? "ro" : "rw"),
      ),
      bind(facts.layout.sockets, jailed.sockets, "rw"),
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
      ],
      ...(devices.length === 0 ? {} : { devices }),
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

function sharesOf(mounts: SandboxSpec["mounts"] = []) {
  return mounts.filter(({ type }) => type === "bind");
}

function bind(source: string, destination: string, mode: "ro" | "rw"): OciMount {
  const flags = ["rbind", "rprivate", "nosuid", "nodev", mode];
  return { destination, type: "bind", source, options: flags };
}
