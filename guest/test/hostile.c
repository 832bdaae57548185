/*
 * Stands in QEMU's place in the jail and tries what a guest that has taken over its QEMU could try. It is told by its
 * last argument what to do; `look` prints one line for each attempt, NAME and how it ended. Which ends are right is
 * for src/wall/vm/hostile.test.ts to say.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/if_alg.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { agent = 3, monitor = 4, memory = 5, devices = 6 };

static void say(const char *name, long result)
{
	int why = errno;
	printf("%s %s\n", name, result >= 0 ? "ok" : strerrorname_np(why));
}

/* As a statement, so that errno is that of the attempt. */
#define TRY(name, attempt) \
	do { \
		errno = 0; \
		long result_ = (long)(attempt); \
		say(name, result_); \
	} while (0)

static void try_open(const char *name, const char *path, int flags)
{
	int fd = open(path, flags, 0600);
	say(name, fd);
	if (fd >= 0)
		close(fd);
}

static void list(const char *name, const char *path)
{
	DIR *directory = opendir(path);
	if (!directory) {
		say(name, -1);
		return;
	}
	struct dirent *entry;
	printf("%s", name);
	while ((entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			printf(" %s", entry->d_name);
	printf("\n");
	closedir(directory);
}

static void list_descriptors(void)
{
	for (int fd = 0; fd < 1024; fd++) {
		char path[64], target[256];
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t length = readlink(path, target, sizeof target - 1);
		if (length < 0)
			continue;
		target[length] = 0;
		printf("descriptor-%d %s\n", fd, target);
	}
}

static void print_file(const char *name, const char *path)
{
	char line[512];
	FILE *file = fopen(path, "r");
	if (!file) {
		say(name, -1);
		return;
	}
	while (fgets(line, sizeof line, file))
		printf("%s %s", name, line);
	fclose(file);
}

static void try_template(void)
{
	char byte = 'x';
	TRY("template-pwrite", pwrite(memory, &byte, 1, 0));
	TRY("template-truncate", ftruncate(memory, 0));
	TRY("template-punch", fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	TRY("template-seal", fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE));
	void *shared;
	TRY("template-map-shared",
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0) == MAP_FAILED ? -1 : 0);
	TRY("template-map-read",
	    (shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memory, 0)) == MAP_FAILED ? -1 : 0);
	TRY("template-mprotect", mprotect(shared, 4096, PROT_READ | PROT_WRITE));
	int again = open("/proc/self/fd/5", O_RDWR);
	TRY("template-again-pwrite", pwrite(again, &byte, 1, 0));
	TRY("template-again-truncate", ftruncate(again, 1));
	TRY("devices-pwrite", pwrite(devices, &byte, 1, 0));
	again = open("/proc/self/fd/6", O_RDWR);
	TRY("devices-again-pwrite", pwrite(again, &byte, 1, 0));
	/* What QEMU does: its own copy, which nobody else sees. */
	char *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, memory, 0);
	if (own != MAP_FAILED)
		own[0] = 'x';
	TRY("template-map-private", own == MAP_FAILED ? -1 : 0);
}

static void try_files(void)
{
	list("root", "/");
	list("dev", "/dev");
	list("vm", "/vm");
	list("proc", "/proc");
	try_open("etc-shadow", "/etc/shadow", O_RDONLY);
	try_open("etc-passwd", "/etc/passwd", O_RDONLY);
	try_open("shell", "/bin/sh", O_RDONLY);
	try_open("usr-local", "/usr/local", O_RDONLY);
	try_open("host-root", "/proc/1/root/etc/hostname", O_RDONLY);
	try_open("sys", "/sys/kernel", O_RDONLY);
	try_open("proc-sys", "/proc/sys/kernel/hostname", O_RDONLY);
	try_open("proc-kcore", "/proc/kcore", O_RDONLY);
	try_open("proc-meminfo", "/proc/meminfo", O_RDONLY);
	try_open("proc-sysrq", "/proc/sysrq-trigger", O_WRONLY);
	try_open("dev-mem", "/dev/mem", O_RDWR);
	try_open("dev-kvm", "/dev/kvm", O_RDWR);
	try_open("dev-tun", "/dev/net/tun", O_RDWR);
	try_open("dev-fuse", "/dev/fuse", O_RDWR);
	try_open("dev-userfaultfd", "/dev/userfaultfd", O_RDWR);
	try_open("layer-read", "/layers/0", O_RDONLY);
	try_open("layer-write", "/layers/0", O_RDWR);
	try_open("layer-truncate", "/layers/0", O_WRONLY | O_TRUNC);
	TRY("layer-chmod", chmod("/layers/0", 0777));
	TRY("layer-rename", rename("/layers/0", "/layers/1"));
	try_open("qemu-write", "/proc/self/exe", O_RDWR);
	try_open("make-in-root", "/new", O_RDWR | O_CREAT);
	try_open("make-in-dev", "/dev/new", O_RDWR | O_CREAT);
	try_open("make-in-vm", "/vm/new", O_RDWR | O_CREAT);
	try_open("make-in-disks", "/disks/1.qcow2", O_RDWR | O_CREAT);
	try_open("make-nameless", "/", O_RDWR | O_TMPFILE);
	TRY("mkdir-in-vm", mkdir("/vm/new", 0700));
	TRY("symlink-in-vm", symlink("/etc/shadow", "/vm/agent"));
	TRY("unlink-in-vm", unlink("/vm/agent"));
	TRY("memfd", syscall(SYS_memfd_create, "own", 0));
	signal(SIGXFSZ, SIG_IGN);
	int disk = open("/disks/0.raw", O_RDWR);
	say("disk", disk);
	struct stat status;
	fstat(disk, &status);
	char byte = 0;
	TRY("disk-last", pwrite(disk, &byte, 1, status.st_size - 1));
	TRY("disk-beyond", pwrite(disk, &byte, 1, status.st_size + status.st_size / 64));
	TRY("disk-grow", ftruncate(disk, status.st_size + status.st_size / 64 + 1));
}

/*
 * The shares of hostile-shares.test.ts: a directory to write to, one to read, a file to read. By calls that a file
 * server may make, so that what fails does not fail by the filter.
 */
static void try_shares(void)
{
	list("share", "/share");
	list("share-above", "/share/0/..");
	int made = open("/share/0/made", O_RDWR | O_CREAT, 0600);
	say("share-make", made);
	TRY("share-write", write(made, "#!/bin/sh\n", 10));
	TRY("share-give", fchown(made, 1000, 1000));
	TRY("share-set-user", fchmod(made, 04755));
	TRY("share-give-beyond", fchown(made, 70000, 70000));
	TRY("share-attribute", syscall(SYS_fsetxattr, made, "trusted.hull", "x", 1, 0));
	close(made);
	TRY("share-device", mknodat(AT_FDCWD, "/share/0/device", S_IFBLK | 0600, 8 << 8));
	try_open("share-others", "/share/0/private", O_RDONLY);
	unlinkat(AT_FDCWD, "/share/0/link", 0);
	TRY("share-link", symlinkat("/etc/shadow", AT_FDCWD, "/share/0/link"));
	try_open("share-through-link", "/share/0/link", O_RDONLY);
	TRY("share-link-layer", linkat(AT_FDCWD, "/layers/0", AT_FDCWD, "/share/0/layer", 0));
	TRY("share-link-disk", linkat(AT_FDCWD, "/disks/0.raw", AT_FDCWD, "/share/0/disk", 0));
	TRY("share-rename-out", renameat(AT_FDCWD, "/share/0/made", AT_FDCWD, "/disks/made"));
	int fixed = open("/share/1/fixed", O_RDONLY);
	say("fixed-read", fixed);
	char again[32];
	snprintf(again, sizeof again, "/proc/self/fd/%d", fixed);
	try_open("fixed-again", again, O_RDWR);
	try_open("fixed-write", "/share/1/fixed", O_RDWR);
	try_open("fixed-truncate", "/share/1/fixed", O_WRONLY | O_TRUNC);
	try_open("fixed-make", "/share/1/made", O_WRONLY | O_CREAT);
	TRY("fixed-mode", fchmod(fixed, 0777));
	TRY("fixed-owner", fchown(fixed, 0, 0));
	TRY("fixed-attribute", syscall(SYS_fsetxattr, fixed, "user.hull", "x", 1, 0));
	TRY("fixed-times", futimens(fixed, NULL));
	TRY("fixed-unlink", unlinkat(AT_FDCWD, "/share/1/fixed", 0));
	TRY("fixed-rename", renameat(AT_FDCWD, "/share/1/fixed", AT_FDCWD, "/share/0/fixed"));
	TRY("fixed-link", linkat(AT_FDCWD, "/share/1/fixed", AT_FDCWD, "/share/0/fixed", 0));
	TRY("fixed-map", mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fixed, 0) == MAP_FAILED ? -1 : 0);
	TRY("fixed-remount", mount(NULL, "/share/1", NULL, MS_REMOUNT | MS_BIND, NULL));
	uint64_t clear[4] = {0, MS_RDONLY};
	TRY("fixed-set-attributes", syscall(SYS_mount_setattr, AT_FDCWD, "/share/1", 0, clear, sizeof clear));
	TRY("fixed-clone", syscall(SYS_open_tree, AT_FDCWD, "/share/1", 1));
	TRY("fixed-umount", umount2("/share/1", MNT_DETACH));
	close(fixed);
	try_open("file-read", "/share/2", O_RDONLY);
	try_open("file-write", "/share/2", O_RDWR);
	list("file-above", "/share/2/..");
}

static void try_outside(pid_t outside)
{
	char buffer[16];
	struct iovec here = {buffer, sizeof buffer}, there = {&outside, sizeof buffer};
	TRY("kill-outside", kill(outside, 0));
	TRY("kill-all", kill(-1, 0));
	TRY("ptrace-outside", ptrace(PTRACE_ATTACH, outside, 0, 0));
	TRY("read-outside", process_vm_readv(outside, &here, 1, &there, 1, 0));
	TRY("pidfd-outside", syscall(SYS_pidfd_open, outside, 0));
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/environ", outside);
	try_open("proc-outside", path, O_RDONLY);
}

static int unix_socket(const char *name, size_t length)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, name, length);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return connect(fd, (struct sockaddr *)&address, (socklen_t)(sizeof(sa_family_t) + length));
}

static void try_network(const char *host_socket, int port)
{
	char abstract[64] = "";
	int length = 1 + snprintf(abstract + 1, sizeof abstract - 1, "hull-hostile-%d", port);
	TRY("connect-abstract", unix_socket(abstract, (size_t)length));
	TRY("connect-host-path", unix_socket(host_socket, strlen(host_socket)));
	TRY("connect-own-monitor", unix_socket("/vm/qmp", sizeof "/vm/qmp"));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	say("socket-inet", fd);
	struct sockaddr_in loopback = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	TRY("connect-loopback", connect(fd, (struct sockaddr *)&loopback, sizeof loopback));
	TRY("socket-inet6", socket(AF_INET6, SOCK_STREAM, 0));
	TRY("socket-netlink", socket(AF_NETLINK, SOCK_RAW, 0));
	TRY("socket-packet", socket(AF_PACKET, SOCK_RAW, 0));
	TRY("socket-vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
	TRY("socket-alg", socket(AF_ALG, SOCK_SEQPACKET, 0));
}

static void try_escapes(void)
{
	TRY("setuid", setuid(0));
	TRY("setgroups", syscall(SYS_setgroups, 0, NULL));
	TRY("mount", mount("none", "/vm", "tmpfs", 0, NULL));
	TRY("mount-bind", mount("/", "/vm", NULL, MS_BIND, NULL));
	TRY("remount", mount(NULL, "/vm", NULL, MS_REMOUNT | MS_BIND, NULL));
	TRY("umount", umount2("/proc", MNT_DETACH));
	TRY("fsopen", syscall(SYS_fsopen, "proc", 0));
	TRY("open-tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
	TRY("pivot-root", syscall(SYS_pivot_root, "/", "/vm"));
	TRY("chroot", chroot("/vm"));
	for (int fd = 0; fd <= devices; fd++) {
		char name[32];
		snprintf(name, sizeof name, "fchdir-%d", fd);
		TRY(name, fchdir(fd));
		snprintf(name, sizeof name, "above-%d", fd);
		TRY(name, openat(fd, "..", O_RDONLY));
	}
	int handle[8] = {24, 1};
	TRY("open-by-handle", syscall(SYS_open_by_handle_at, AT_FDCWD, handle, O_RDONLY));
	TRY("mknod", mknod("/dev/sda", S_IFBLK | 0600, (8 << 8)));
	int own = open("/proc/self/ns/net", O_RDONLY);
	TRY("setns", setns(own, CLONE_NEWNET));
	/* Each in a process of its own if there may be one: what succeeds must not change what comes after. */
	TRY("unshare-mount", unshare(CLONE_NEWNS));
	TRY("unshare-user", unshare(CLONE_NEWUSER));
}

static void try_kernel(void)
{
	char attributes[128] = {0};
	TRY("ptrace", ptrace(PTRACE_ATTACH, 1, 0, 0));
	TRY("keyctl", syscall(SYS_keyctl, 0, -3, 1));
	TRY("add-key", syscall(SYS_add_key, "user", "hull", "x", 1, -2));
	TRY("request-key", syscall(SYS_request_key, "user", "hull", NULL, 0));
	TRY("bpf", syscall(SYS_bpf, 0, attributes, sizeof attributes));
	TRY("perf", syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0));
	TRY("userfaultfd", syscall(SYS_userfaultfd, 1));
	TRY("io-uring", syscall(SYS_io_uring_setup, 4, attributes));
	TRY("io-setup", syscall(SYS_io_setup, 1, attributes));
	TRY("module", syscall(SYS_finit_module, 0, "", 0));
	TRY("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	TRY("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL));
	TRY("syslog", syscall(SYS_syslog, 3, attributes, 16));
	TRY("set-time", settimeofday(&(struct timeval){0}, NULL));
	TRY("hostname", sethostname("x", 1));
	TRY("iopl", syscall(SYS_iopl, 3));
	TRY("ldt", syscall(SYS_modify_ldt, 0, attributes, sizeof attributes));
	TRY("personality", syscall(SYS_personality, 0x0040000));
	TRY("swapon", syscall(SYS_swapon, "/disks/0.raw", 0));
	TRY("acct", syscall(SYS_acct, "/disks/0.raw"));
	TRY("quotactl", syscall(SYS_quotactl, 0, "/", 0, NULL));
	TRY("fanotify", syscall(SYS_fanotify_init, 0, 0));
	TRY("shm", syscall(SYS_shmget, 0, 4096, 01600));
	TRY("landlock", syscall(SYS_landlock_create_ruleset, NULL, 0, 1));
	TRY("push-input", ioctl(0, TIOCSTI, "x"));
	TRY("execve", execl("/bin/sh", "sh", NULL));
}

static void try_resources(void)
{
	struct sched_param first = {.sched_priority = 1};
	TRY("nice", setpriority(PRIO_PROCESS, 0, -5));
	TRY("realtime", sched_setscheduler(0, SCHED_FIFO, &first));
	cpu_set_t all;
	CPU_ZERO(&all);
	CPU_SET(0, &all);
	TRY("affinity", sched_setaffinity(0, sizeof all, &all));
	TRY("io-priority", syscall(SYS_ioprio_set, 1, 0, (1 << 13) | 0));
	struct rlimit more = {4096, 4096};
	TRY("raise-files", setrlimit(RLIMIT_NOFILE, &more));
	TRY("raise-core", setrlimit(RLIMIT_CORE, &more));
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TRY("lock-memory", mlock(page, 4096));
	TRY("oom-score", open("/proc/self/oom_score_adj", O_WRONLY) < 0 ? -1 : 0);
	TRY("fork", fork() == 0 ? (_exit(0), 0) : errno ? -1 : 0);
}

static void *idle(void *unused)
{
	for (;;)
		sleep(1000);
	return unused;
}

static void make_threads(void)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 * 1024);
	int made = 0, why = 0;
	for (pthread_t thread; made < 20000; made++)
		if ((why = pthread_create(&thread, &attributes, idle, NULL)) != 0)
			break;
	printf("threads %d %s\n", made, strerrorname_np(why));
}

static void make_processes(void)
{
	int made = 0;
	for (; made < 20000; made++) {
		pid_t child = fork();
		if (child == 0)
			for (;;)
				sleep(1000);
		if (child < 0)
			break;
	}
	printf("processes %d %s\n", made, strerrorname_np(errno));
}

static void take_memory(void)
{
	for (size_t piece = 1 << 20;;) {
		char *more = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (more == MAP_FAILED)
			return;
		memset(more, 1, piece);
	}
}

static int attach_tap(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	strcpy(request.ifr_name, name);
	return ioctl(open("/dev/net/tun", O_RDWR), TUNSETIFF, &request);
}

static void try_taps(void)
{
	TRY("tap-own", attach_tap("tap0"));
	TRY("tap-other", attach_tap("tap1"));
	TRY("tap-new", attach_tap("tap2"));
	TRY("interface-make", mknod("/dev/net/new", S_IFCHR | 0600, (10 << 8) | 200));
}

static void flood(void)
{
	static char line[4096];
	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\n';
	for (int count = 0; count < 4096; count++)
		if (write(1, line, sizeof line) < 0)
			return;
}

static void look(char **words)
{
	pid_t outside = atoi(words[0]);
	struct utsname name;
	print_file("status", "/proc/self/status");
	print_file("cgroup", "/proc/self/cgroup");
	list_descriptors();
	uname(&name);
	printf("nodename %s\n", name.nodename);
	extern char **environ;
	for (char **each = environ; *each; each++) printf("environment %s\n", *each);
	try_template();
	try_files();
	if (!access("/share/0", F_OK))
		try_shares();
	try_outside(outside);
	try_network(words[1], atoi(words[2]));
	try_resources();
	try_kernel();
	try_escapes();
	printf("done ok\n");
}

int main(int count, char **words)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	const char *what = words[count - 1];
	if (!strcmp(what, "look"))
		look(words + count - 4);
	else if (!strcmp(what, "taps"))
		try_taps();
	else if (!strcmp(what, "threads"))
		make_threads();
	else if (!strcmp(what, "processes"))
		make_processes();
	else if (!strcmp(what, "memory"))
		take_memory();
	else if (!strcmp(what, "flood"))
		flood();
	else if (!strcmp(what, "foreign")) {
		long result;
		/* getpid of the 32-bit ABI. */
		__asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
		printf("foreign ok %ld\n", result);
	}
	return 0;
}
