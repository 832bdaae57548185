#!/bin/bash
# Builds what a VM boots from: guest/build.sh [OUTDIR]. Writes only OUTDIR (.cache/guest of the checkout if not
# given) and a temporary directory; nothing is installed. Does nothing when nothing has changed.
#
#   vmlinux         the kernel of Debian's linux-image-amd64, as an ELF file that QEMU starts without its decompressor
#   initramfs.cpio  the agent and the modules it loads
#   hull-files      reads and writes the files of workloads of the container wall
#   hull-freeze, hull-thaw   keep a QEMU as it stands, and have copies of it go on (process/freeze, process/thaw)
#   discard.so      what QEMU is loaded with: freed memory of its guest goes back to the host, and it takes less (jail/*.c)
#   manifest.json   versions of both
#
# HULL_KERNEL_DEB names a kernel package to use instead of the one apt finds.
set -euo pipefail

guest=$(cd "$(dirname "$0")" && pwd)
out=${1:-$(dirname "$guest")/.cache/guest}

# What a VM needs, in an order in which it can be loaded. Dependencies are found in the modules themselves; what is
# named here although nothing depends on it by name is needed through the crypto interface (crc32c by libcrc32c). The port comes
# before the disks, which may use up the interrupt vectors.
modules="virtio_pci virtio_console virtio_blk crc32c_generic erofs overlay ext4"
# Those whose devices only some workloads use: loaded, too, but given no device before that.
later_modules="virtio_net 9pnet_virtio 9p virtio_balloon"

say() { printf 'guest: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

need() {
  command -v "$1" >/dev/null || fail "$1 is missing: run apt-get install $2"
}

sum_of() { cat "$@" | sha256sum | cut -c1-64; }

kernel_package() {
  apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

# Leaves the path of a kernel package in $deb.
fetch_kernel() {
  if [ -n "${HULL_KERNEL_DEB:-}" ]; then
    deb=$HULL_KERNEL_DEB
    return
  fi
  need apt-get apt
  local name
  name=$(kernel_package)
  [ -n "$name" ] || fail "apt knows no linux-image-amd64: run apt-get update"
  say "downloading $name"
  mkdir "$temporary/deb"
  (cd "$temporary/deb" && apt-get download -q -o APT::Sandbox::User=root "$name" >&2) || fail "cannot download $name: run apt-get update and try again"
  deb=$(echo "$temporary"/deb/*.deb)
}

# number_at FILE BYTES OFFSET: a little-endian number, negative if its highest bit is set.
number_at() { od -An -v -t "d$2" -j "$(($3))" -N "$2" "$1" | tr -d ' '; }

# put_at FILE BYTES OFFSET NUMBER
put_at() {
  local i escaped=
  for ((i = 0; i < $2; i++)); do escaped+=$(printf '\\x%02x' $((($4 >> (8 * i)) & 255))); done
  printf '%b' "$escaped" | dd of="$1" bs=1 seek="$(($3))" conv=notrunc status=none
}

# The payload of a bzImage. Source: Linux, Documentation/arch/x86/boot.rst (setup_sects, payload_offset, payload_length).
extract_vmlinux() {
  local image=$1 sectors offset length
  sectors=$(($(number_at "$image" 1 0x1f1) & 255))
  offset=$(number_at "$image" 4 0x248)
  length=$(number_at "$image" 4 0x24c)
  # The payload's last four bytes are its unpacked size, which is not xz's. tail is cut short by head.
  (set +o pipefail && tail -c "+$(((sectors + 1) * 512 + offset + 1))" "$image" | head -c "$((length - 4))" | xz -dc > "$2") ||
    fail "the kernel in $image is not packed with xz"
  [ "$(number_at "$2" 4 0)" = $((0x464c457f)) ] || fail "the kernel in $image is not an ELF file"
}

# The kernel's last segment is stored with 24 MB of zeros (.bss lies before its end). Every QEMU would have them in
# memory, so they are cut off, and with them the section headers, which only a debugger reads.
trim_vmlinux() {
  local file=$1 header=$((64 + 56 * 3)) start address size bss kept
  start=$(number_at "$file" 8 header+8) address=$(number_at "$file" 8 header+16) size=$(number_at "$file" 8 header+32)
  bss=$(readelf -SW "$file" | sed -n 's/.* \.bss  *NOBITS  *\([0-9a-f]*\) .*/\1/p')
  kept=$((16#${bss:-0} - address))
  # A kernel that is laid out otherwise is left alone.
  if [ "$(number_at "$file" 4 header)" != 1 ] || [ "$kept" -le 0 ] || [ "$kept" -ge "$size" ]; then return; fi
  if [ "$(tail -c "+$((start + kept + 1))" "$file" | head -c "$((size - kept))" | tr -d '\0' | wc -c)" != 0 ]; then return; fi
  put_at "$file" 8 header+32 "$kept"
  put_at "$file" 8 40 0
  put_at "$file" 4 60 0
  truncate -s "$((start + kept))" "$file"
}

find_module() {
  local pattern=${1//[-_]/[-_]}
  find "$tree" -name "$pattern.ko" -print -quit
}

# Writes the files of the modules named and of those they depend on into $order, each after its dependencies.
resolve_modules() {
  local name file depends
  for name; do
    case " $resolved " in *" ${name//-/_} "*) continue ;; esac
    resolved="$resolved ${name//-/_}"
    file=$(find_module "$name")
    [ -n "$file" ] || fail "the kernel has no module $name"
    depends=$(tr '\0' '\n' < "$file" | sed -n 's/^depends=//p' | head -n 1)
    # shellcheck disable=SC2086
    resolve_modules ${depends//,/ }
    echo "$file" >> "$order"
  done
}

# keep_modules LIST MODULE…: keeps modules for the initramfs, and their names in a list.
keep_modules() {
  local list=$out/kernel/modules/$1 file
  shift
  : > "$order"
  resolve_modules "$@"
  while read -r file; do
    # Without debug information and signature: a guest has no use for either, and pays for both at boot.
    strip --strip-debug -o "$out/kernel/modules/${file##*/}" "$file"
    echo "${file##*/}" >> "$list"
  done < "$order"
}

build_kernel() {
  local unpacked=$temporary/unpacked tree order resolved=""
  fetch_kernel
  say "unpacking the kernel"
  dpkg-deb -x "$deb" "$unpacked"
  rm -rf "$out/kernel"
  mkdir -p "$out/kernel/modules"
  extract_vmlinux "$(echo "$unpacked"/boot/vmlinuz-*)" "$temporary/vmlinux"
  (set +o pipefail && trim_vmlinux "$temporary/vmlinux")
  tree=$unpacked/lib/modules order=$temporary/order
  # shellcheck disable=SC2086
  keep_modules list $modules
  # shellcheck disable=SC2086
  keep_modules later $later_modules
  basename "$unpacked"/boot/vmlinuz-* | sed 's/^vmlinuz-//' > "$out/kernel/release"
  dpkg-deb -f "$deb" Version > "$out/kernel/package"
  mv "$temporary/vmlinux" "$out/vmlinux"
  echo "$kernel_sum" > "$out/kernel/stamp"
}

# The host runs it as root in a workload's mount name space, where there is no library of the host's.
build_files() {
  # shellcheck disable=SC2086
  ${CC:-cc} -std=gnu2x -D_GNU_SOURCE -static -Os -Wall -Wextra -Werror -ffunction-sections -Wl,--gc-sections -s \
    -o "$temporary/hull-files" "$guest"/host/main.c "$guest"/files/*.c "$guest"/agent/common.c "$guest"/agent/fields.c
  mv "$temporary/hull-files" "$out/hull-files"
  # shellcheck disable=SC2086
  ${CC:-cc} -std=gnu2x -D_GNU_SOURCE -shared -fPIC -Os -Wall -Wextra -Werror -s -Wl,-soname,libcapstone.so.4 \
    -o "$temporary/discard.so" "$guest"/jail/*.c
  chmod 755 "$temporary/discard.so"
  mv "$temporary/discard.so" "$out/discard.so"
  # It takes the place of a whole process, and must not be where that one is.
  ${CC:-cc} -std=gnu2x -O2 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pie -no-pie -nostdlib -static \
    -fno-asynchronous-unwind-tables -mno-sse -s -Wl,-Ttext-segment=0x10000000,-z,noexecstack,--build-id=none \
    -o "$temporary/hull-thaw" "$guest"/process/thaw/*.c
  ${CC:-cc} -std=gnu2x -D_GNU_SOURCE -static -Os -Wall -Wextra -Werror -ffunction-sections -Wl,--gc-sections -s \
    -o "$temporary/hull-freeze" "$guest"/process/freeze/*.c
  chmod 755 "$temporary/hull-thaw"
  mv "$temporary/hull-thaw" "$temporary/hull-freeze" "$out/"
}

build_initramfs() {
  local root=$temporary/root
  say "compiling the agent"
  mkdir -p "$root/dev" "$root/modules"
  # shellcheck disable=SC2086
  ${CC:-cc} -std=gnu2x -D_GNU_SOURCE -static -Os -Wall -Wextra -Werror -ffunction-sections -Wl,--gc-sections -s \
    -o "$root/init" "$guest"/agent/*.c "$guest"/files/*.c
  cp "$out"/kernel/modules/* "$root/modules/"
  (cd "$root" && find . -print | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) > "$temporary/initramfs.cpio"
  mv "$temporary/initramfs.cpio" "$out/initramfs.cpio"
  local protocol
  protocol=$(sed -n 's/^#define PROTOCOL_VERSION //p' "$guest/agent/protocol.h")
  printf '{ "kernel": "%s", "kernelPackage": "%s", "protocol": %s, "sources": "%s" }\n' \
    "$(cat "$out/kernel/release")" "$(cat "$out/kernel/package")" "$protocol" "$agent_sum" > "$temporary/manifest.json"
  mv "$temporary/manifest.json" "$out/manifest.json"
}

kernel_sum=$(sum_of "$guest/build.sh")
agent_sum=$(sum_of "$guest/build.sh" "$guest"/agent/* "$guest"/files/* "$guest"/host/* "$guest"/jail/* "$guest"/process/*.h "$guest"/process/*/*)
kernel_done=$([ -s "$out/vmlinux" ] && cat "$out/kernel/stamp" 2>/dev/null || true)
if [ "$kernel_done" = "$kernel_sum" ] && [ -s "$out/initramfs.cpio" ] && [ -s "$out/hull-files" ] && [ -s "$out/discard.so" ] &&
  [ -s "$out/hull-thaw" ] && [ -s "$out/hull-freeze" ] &&
  grep -qs "\"$agent_sum\"" "$out/manifest.json"; then
  exit 0
fi

need dpkg-deb dpkg
need xz xz-utils
need cpio cpio
need strip binutils
need readelf binutils
need "${CC:-cc}" "gcc libc6-dev"
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
mkdir -p "$out"
[ "$kernel_done" = "$kernel_sum" ] || build_kernel
build_files
build_initramfs
say "built in $out"
