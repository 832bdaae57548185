/**
 * The OCI configuration of a container: a pure function of the sandbox's spec and of what was found on the host
 * and in the image. The defaults are Docker's (moby, oci/defaults.go), so that images behave alike.
 */

import type {
  OciConfig,
  OciMount,
  OciNamespace,
  OciProcess,
  OciResources,
  OciSeccomp,
} from "../oci/config.ts";
import type { ResolvedUser } from "../user.ts";
import type { ProcessSpec, SandboxMount, SandboxNetwork, SandboxSpec } from "../wall.ts";

export interface ConfigFacts {
  readonly user: ResolvedUser;
  /** The mounted root file system. */
  readonly rootPath: string;
  /** Sources of binds that are no directories. */
  readonly files: ReadonlySet<string>;
  readonly cgroup: string;
  readonly seccomp: OciSeccomp | undefined;
  readonly canLimitSwap: boolean;
}

export function containerConfig(spec: SandboxSpec, facts: ConfigFacts): OciConfig {
  return {
    ociVersion: "1.0.2",
    process: ociProcess(spec.process, facts.user),
    root: { path: facts.rootPath, readonly: spec.readOnlyRoot },
    hostname: spec.hostname,
    mounts: mountsOf(spec, facts.files),
    linux: {
      cgroupsPath: facts.cgroup,
      namespaces: [
        { type: "pid" },
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
        ...networkNamespace(spec.network),
        { type: "cgroup" },
      ],
      ...(spec.network === undefined ? { sysctl: networkSettings } : {}),
      maskedPaths,
      readonlyPaths,
      resources: ociResources(spec, facts.canLimitSwap),
      ...(facts.seccomp === undefined ? {} : { seccomp: facts.seccomp }),
      // Otherwise the runtime cuts its name space off from the host's mounts before it binds any of them.
      ...((spec.mounts ?? []).some(isSlave) ? { rootfsPropagation: "rslave" } : {}),
    },
  };
}

/** For a network namespace of its own, where nobody else's ports or groups are touched; one to join has been set up. */
const networkSettings = {
  "net.ipv4.ip_unprivileged_port_start": "0",
  "net.ipv4.ping_group_range": "0 2147483647",
};

/** None of its own, and none to join: the container stays in the host's. */
function networkNamespace(network: SandboxNetwork | undefined): OciNamespace[] {
  if (network === undefined) return [{ type: "network" }];
  return network.namespace === undefined ? [] : [{ type: "network", path: network.namespace }];
}

/** The first process of a container, or one more (`exec`). */
export function ociProcess(process: ProcessSpec, user: ResolvedUser): OciProcess {
  const { capabilities } = process;
  // What an unprivileged user would lose at exec(2) anyway is not given in the first place.
  const effective = user.uid === 0 ? capabilities : [];
  const hasHome = process.env.some((variable) => variable.startsWith("HOME="));
  return {
    terminal: process.terminal,
    ...(process.terminal && process.size !== undefined
      ? { consoleSize: { height: process.size.rows, width: process.size.columns } }
      : {}),
    user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    args: process.args,
    env: hasHome ? process.env : [...process.env, `HOME=${user.home}`],
    cwd: process.cwd,
    capabilities: {
      bounding: capabilities,
      effective,
      permitted: effective,
      inheritable: [],
      ambient: [],
    },
    noNewPrivileges: false,
  };
}

const cpuPeriod = 100_000;
/** The kernel takes no quota below one millisecond. */
const smallestQuota = 1000;

function ociResources(spec: SandboxSpec, canLimitSwap: boolean): OciResources {
  const { memoryBytes, cpus, pids } = spec.resources;
  return {
    devices: deviceRules,
    // Swap counts memory and swap together: the same figure means no swap.
    ...(memoryBytes > 0
      ? { memory: { limit: memoryBytes, ...(canLimitSwap ? { swap: memoryBytes } : {}) } }
      : {}),
    ...(cpus > 0
      ? { cpu: { quota: Math.max(smallestQuota, Math.round(cpus * cpuPeriod)), period: cpuPeriod } }
      : {}),
    ...(pids > 0 ? { pids: { limit: pids } } : {}),
  };
}

/** The workload's own come last, in the place of standard ones with the same destination. */
function mountsOf(spec: SandboxSpec, files: ReadonlySet<string>): OciMount[] {
  const own = (spec.mounts ?? []).map((mount) => ociMount(mount, files.has(mount.source)));
  const taken = new Set(own.map(({ destination }) => destination));
  const standard = [...standardMounts, ...networkFileMounts(spec.runtimeDirectory)];
  return [...standard.filter(({ destination }) => !taken.has(destination)), ...own];
}

/**
 * A read-only bind is so with all that is mounted below it (`rro`: mount_setattr(2), recursive). Below a file there is
 * nothing, and crun takes what is to be `rro` for a directory.
 */
function ociMount({ type, source, target, readOnly, options }: SandboxMount, isFile: boolean): OciMount {
  if (type === "tmpfs")
    return { destination: target, type, source, options: [...options, ...(readOnly ? ["ro"] : [])] };
  const propagation = options.some((word) => /private|slave/.test(word)) ? [] : ["rprivate"];
  const flags = [
    "rbind",
    ...options,
    ...propagation,
    ...(readOnly ? (isFile ? ["ro"] : ["ro", "rro"]) : ["rw"]),
  ];
  return { destination: target, type: "bind", source, options: flags };
}

function isSlave({ type, options }: SandboxMount): boolean {
  return type === "bind" && options.some((word) => word.endsWith("slave"));
}

function networkFileMounts(directory: string): OciMount[] {
  return ["resolv.conf", "hostname", "hosts"].map((name) => ({
    destination: `/etc/${name}`,
    type: "bind",
    source: `${directory}/${name}`,
    options: ["rbind", "rprivate"],
  }));
}

const standardMounts: readonly OciMount[] = [
  { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
  {
    destination: "/dev",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
  {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["ro", "nosuid", "noexec", "nodev"],
  },
  {
    destination: "/dev/mqueue",
    type: "mqueue",
    source: "mqueue",
    options: ["nosuid", "noexec", "nodev"],
  },
  {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"],
  },
];

const maskedPaths: readonly string[] = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];

const readonlyPaths: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/** Everything is denied but making nodes, and using the ones every program expects (null, zero, full, tty…). */
const deviceRules: OciResources["devices"] = [
  { allow: false, access: "rwm" },
  { allow: true, type: "c", access: "m" },
  { allow: true, type: "b", access: "m" },
  ...(
    [
      [1, 3],
      [1, 5],
      [1, 7],
      [1, 8],
      [1, 9],
      [5, 0],
      [5, 2],
    ] as const
  ).map(([major, minor]) => ({ allow: true, type: "c", major, minor, access: "rwm" }) as const),
  // Terminals of the container's own devpts.
  { allow: true, type: "c", major: 136, access: "rwm" },
];
