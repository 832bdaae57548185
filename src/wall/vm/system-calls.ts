/**
 * The system calls of the jail's own filter: what QEMU 7.2 to 10 needs as Hull starts it, with the C libraries it is
 * built with, and the last steps of the OCI runtime up to QEMU's start. Everything else fails with EPERM; calls of
 * another ABI (32 bit, x32) end the program.
 *
 * QEMU's own filter (-sandbox) comes on top of it, and takes away what only the start needs (execve). This one holds
 * from QEMU's first instruction and does not depend on QEMU.
 */
import type { OciSeccomp, OciSeccompRule } from "../oci/config.ts";

const files =
  "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 close close_range lseek _llseek dup dup2 " +
  "dup3 fcntl flock fsync fdatasync sync_file_range fallocate ftruncate fadvise64 copy_file_range sendfile " +
  "open openat openat2 access faccessat faccessat2 stat lstat fstat newfstatat statx fstatfs statfs readlink " +
  "readlinkat getdents64 getcwd chdir fchdir umask pipe pipe2 eventfd eventfd2";

const memory = "brk mmap munmap mprotect mremap madvise msync mincore membarrier";

const threads =
  "futex futex_waitv set_robust_list get_robust_list set_tid_address rseq exit exit_group restart_syscall " +
  "sched_yield sched_getaffinity sched_getparam sched_getscheduler getpid gettid getppid arch_prctl";

const signals =
  "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack tgkill signalfd4";

const time =
  "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times timerfd_create timerfd_settime " +
  "timerfd_gettime timer_create timer_settime timer_gettime timer_delete";

const waiting =
  "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2";

const sockets =
  "connect accept accept4 listen getsockname getpeername getsockopt setsockopt sendmsg recvmsg sendto recvfrom shutdown";

const itself =
  "getuid geteuid getgid getegid getresuid getresgid getgroups capget prctl seccomp uname sysinfo getrusage getrandom " +
  "getrlimit execve";

/** What a share of the host's directories (9p) takes besides. */
const fileServer =
  "mkdirat mknodat symlinkat linkat unlinkat renameat renameat2 fchmod fchmodat fchmodat2 chmod fchown fchownat lchown " +
  "utimensat truncate syncfs getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr setxattr lsetxattr fsetxattr " +
  "removexattr lremovexattr fremovexattr";

const words = (...lists: string[]): string[] => lists.flatMap((list) => list.split(" "));

/** linux/sched.h, linux/socket.h, asm-generic/ioctls.h. */
const cloneThread = 0x10000;
const familyUnix = 1;
const pushInput = 0x5412;

const enosys = 38;
const eperm = 1;

const whenArgument = (
  name: string,
  index: number,
  op: string,
  value: number,
  valueTwo?: number,
): OciSeccompRule => ({
  names: [name],
  action: "SCMP_ACT_ALLOW",
  args: [{ index, op, value, ...(valueTwo === undefined ? {} : { valueTwo }) }],
});

export interface FilterFacts {
  /** Whether QEMU makes files in directories of the host's for its guest. */
  readonly servesFiles: boolean;
}

export function qemuSystemCalls({ servesFiles }: FilterFacts): OciSeccomp {
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: eperm,
    architectures: ["SCMP_ARCH_X86_64"],
    syscalls: [
      {
        names: words(
          ...[files, memory, threads, signals, time, waiting, sockets, itself],
          ...(servesFiles ? [fileServer] : []),
        ),
        action: "SCMP_ACT_ALLOW",
      },
      // Threads, no processes. The arguments of clone3 lie in memory, where no filter can look: the C library then
      // falls back on clone.
      whenArgument("clone", 0, "SCMP_CMP_MASKED_EQ", cloneThread, cloneThread),
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: enosys },
      whenArgument("socket", 0, "SCMP_CMP_EQ", familyUnix),
      whenArgument("ioctl", 1, "SCMP_CMP_NE", pushInput),
      // Reading limits, of itself; setting them not.
      whenArgument("prlimit64", 2, "SCMP_CMP_EQ", 0),
    ],
  };
}
