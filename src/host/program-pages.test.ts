import { expect, test } from "bun:test";
import { readFileSync, readlinkSync } from "node:fs";
import { check, libc, systemCall } from "./libc.ts";
import { cleanMappings, releaseProgramPages } from "./program-pages.ts";

/** linux/mman.h, MADV_POPULATE_READ. */
const populateRead = 22;

const smaps = `00400000-00500000 r-xp 00001000 fe:00 12 /usr/bin/program
Rss:                 900 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
00500000-00600000 r--p 00101000 fe:00 12 /usr/bin/program
Private_Dirty:         8 kB
Anonymous:             8 kB
00600000-00700000 rw-p 00201000 fe:00 12 /usr/bin/program
Private_Dirty:         0 kB
Anonymous:             0 kB
00700000-00800000 r-xp 00000000 fe:00 13 /usr/lib/other.so
Private_Dirty:         0 kB
00800000-00900000 r--p 00000000 fe:00 12 /usr/bin/program
Private_Dirty:       640 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
`;

test("only mappings of the program without changes of its own are let go", () => {
  expect(cleanMappings(smaps, "/usr/bin/program")).toEqual([
    { start: 0x400000, length: 0x100000 },
    { start: 0x800000, length: 0x100000 },
  ]);
});

test("the program goes on after its pages are let go, with fewer of them", () => {
  // How many are there otherwise is up to the page cache: pages of large pieces of the file come back many at once.
  makeAllResident();
  const before = residentFilePages();
  releaseProgramPages();
  expect(residentFilePages()).toBeLessThan(before);
  expect([3, 1, 2].toSorted().join()).toBe("1,2,3");
});

function makeAllResident(): void {
  const program = readlinkSync("/proc/self/exe");
  for (const { start, length } of cleanMappings(readFileSync("/proc/self/smaps", "utf8"), program))
    check(libc.syscall(systemCall.madvise, start, length, populateRead, 0, 0, 0), "madvise", program);
}

function residentFilePages(): number {
  return Number(/RssFile:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}
