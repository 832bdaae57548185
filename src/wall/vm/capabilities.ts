/** Capabilities as the kernel numbers them (include/uapi/linux/capability.h). */
import { HullError } from "../../contract/errors.ts";

const names = [
  ...["CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"],
  ...[
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
  ],
  ...[
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
  ],
  ...[
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
  ],
  ...["MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"],
  "CHECKPOINT_RESTORE",
];

/** One bit per capability. */
export function capabilityMask(capabilities: readonly string[]): bigint {
  return capabilities.reduce((mask, name) => {
    const number = names.indexOf(name.replace(/^CAP_/, ""));
    if (number < 0)
      throw new HullError("invalidParameter", {
        what: "capability",
        value: name,
        why: "the guest's kernel has none of that name",
      });
    return mask | (1n << BigInt(number));
  }, 0n);
}
