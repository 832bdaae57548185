#!/bin/sh
# volume-work.sh DIR SECONDS: uses files in DIR in several ways; lines of NAME FIGURE. KiB/s, operations/s, ms.
directory=$1/work seconds=$2
mkdir -p "$directory" && cd "$directory" || exit 1

# run_fio NAME FIELD OPTION…: FIELD is that of fio's terse format, version 3.
run_fio() {
  name=$1 field=$2
  shift 2
  fio --name=job --filename="$directory/file" --size=64m --ioengine=psync --thread --fallocate=none --invalidate=0 \
    --output-format=terse --terse-version=3 "$@" > /tmp/fio || exit 1
  echo "$name $(cut -d ';' -f "$field" < /tmp/fio)"
}
now() { date +%s%N; }

run_fio write 48 --rw=write --bs=1m --end_fsync=1
run_fio read 7 --rw=read --bs=1m
run_fio random-read 8 --rw=randread --bs=4k --runtime="$seconds" --time_based
run_fio random-write 49 --rw=randwrite --bs=4k --runtime="$seconds" --time_based
rm file
started=$(now)
tar -xf /files.tar
created=$(now)
ls -lR . > /tmp/list
listed=$(now)
cd / && rm -rf "$directory"
removed=$(now)
echo "create $(((created - started) / 1000000))"
echo "list $(((listed - created) / 1000000))"
echo "remove $(((removed - listed) / 1000000))"
