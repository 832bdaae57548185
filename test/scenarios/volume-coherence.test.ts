/**
 * docs/volumes.md, "Shared by several": what holds when containers and virtual machines use one volume at once, and
 * what does not. Two containers and two machines do one system call each, in turns.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { compileOperator, type Operate, startOperator } from "../support/operator.ts";
import { testTimeout } from "../support/scenario.ts";

const tools = mkdtempSync(join(tmpdir(), "h-"));
let daemon: TestDaemon;
let place = "";
const sides = new Map<string, Operate>();

beforeAll(async () => {
  await compileOperator(tools);
  daemon = await startDaemon();
  const mounts = ["-v", "shared:/v"];
  for (const side of ["c", "d", "m", "n"]) {
    const wall = side === "c" || side === "d" ? "container" : "vm";
    sides.set(side, await startOperator(daemon, wall, tools, mounts));
  }
  place = JSON.parse(await daemon.hullOk(["volume", "inspect", "shared"]))[0].Mountpoint;
}, testTimeout);
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(tools, { recursive: true, force: true });
}, testTimeout);

/**
 * Lines of `SIDE CALL => ANSWER`, done in order; `ok` is left out, and * is the time of now. Sides: containers c and d, machines m and n. All are
 * compared at once, so that a failure shows the whole course.
 */
async function expectCourse(course: string): Promise<void> {
  const expected = course
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  const seen: string[] = [];
  for (const line of expected) {
    const [call = "", hoped] = line.slice(2).split(" => ");
    const given = await sides.get(line[0] ?? "")?.(call);
    seen.push(answers(hoped ?? "ok", given) ? line : `${line[0]} ${call} => ${given}`);
  }
  expect(seen).toEqual(expected);
}

/** A time of now is not compared. */
function answers(hoped: string, given: string | undefined): boolean {
  return hoped.endsWith(" *") ? given?.replace(/ \d+$/, " *") === hoped : given === hoped;
}

test(
  "what one writes, cuts, appends or renames is there for all others at once",
  async () => {
    await expectCourse(`
      c open 0 /v/a rwc
      m open 0 /v/a rw
      n open 0 /v/a rw
      c write 0 hello
      m pread 0 0 100 => hello
      m pwrite 0 5 -machine
      c pread 0 0 100 => hello-machine
      n pread 0 0 100 => hello-machine
      m truncate /v/a 5
      c pread 0 0 100 => hello
      n pread 0 0 100 => hello
      c ftruncate 0 2
      m pread 0 0 100 => he
      n pwrite 0 4 o
      m sync 0
      c sync 0
      # Everybody appends to what is there, whatever they knew of its size.
      m open 1 /v/log rwca
      c open 1 /v/log rwa
      n open 1 /v/log rwa
      c write 1 c1
      m write 1 m1
      n write 1 n1
      c write 1 c2
      m write 1 m2
      m pread 1 0 100 => c1m1n1c2m2
      # What is made for one alone is one's alone.
      n open 2 /v/lockfile wcx
      c open 2 /v/lockfile wcx => EEXIST
      m open 2 /v/lockfile wcx => EEXIST
      c mkdir /v/lockfile 755 => EEXIST
      c unlink /v/lockfile
      m open 2 /v/lockfile wcx
      # Names change for all.
      c rename /v/a /v/b
      m stat /v/a => ENOENT
      m pread 0 0 2 => he
      m rename /v/b /v/a
      c stat /v/b => ENOENT
      m keep /v/log /v/a => EEXIST
      c keep /v/log /v/a => EEXIST
      m open 3 /v/new wc
      m write 3 new
      m rename /v/new /v/a
      c open 3 /v/a r
      c read 3 => new
      c pread 0 0 2 => he
      m mkdir /v/dir 1777
      c open 4 /v/dir/from-c wc
      m list /v/dir => from-c
      m open 4 /v/dir/from-m wc
      c list /v/dir => from-c from-m
      n unlink /v/dir/from-c
      c list /v/dir => from-m
      m rmdir /v/dir => ENOTEMPTY
      c rename /v/dir /v/moved
      m list /v/dir => ENOENT
      m list /v/moved => from-m
    `);
  },
  testTimeout,
);

test(
  "lines that all append at the same time stay whole",
  async () => {
    const lines = 400;
    const text = (side: string): string => `${side.repeat(60)};`;
    await expectCourse([...sides.keys()].map((side) => `${side} open 5 /v/lines wca`).join("\n"));
    await Promise.all(
      [...sides].map(async ([side, operate]) =>
        expect(await operate(`append 5 ${text(side)} ${lines}`)).toBe("ok"),
      ),
    );
    const written = readFileSync(join(place, "lines"), "latin1").split(";").slice(0, -1);
    for (const side of sides.keys())
      expect(written.filter((line) => `${line};` === text(side))).toHaveLength(lines);
    expect(written).toHaveLength(lines * sides.size);
  },
  testTimeout,
);

test(
  "a machine's mapped pages, its end of a file, and its open files that others move are its own",
  async () => {
    await expectCourse(`
      c open 0 /v/map rwct
      c write 0 0123456789
      c ftruncate 0 4096
      m open 0 /v/map rw
      m map 0 4096
      m peek 0 0 10 => 0123456789
      # Mapped, a machine keeps what it has seen; read(2) sees what is there.
      c pwrite 0 0 C
      m peek 0 0 10 => 0123456789
      m pread 0 0 10 => C123456789
      # What it writes to its mapping is there for others with msync, or once it is unmapped.
      m poke 0 5 M
      c pread 0 0 10 => C123456789
      m msync 0
      c pread 0 0 10 => 01234M6789
      m poke 0 6 N
      m unmap 0
      m close 0
      c pread 0 0 10 => 01234MN789
      c pwrite 0 0 D
      m open 0 /v/map rw
      m map 0 4096
      m peek 0 0 10 => D1234MN789
      m unmap 0
      # Where the end is, is known from the last look.
      c pwrite 0 4096 more
      m seek-end 0 => 4096
      m stat /v/map => file 644 0:0 4100 1 *
      m seek-end 0 => 4100
      # Read and written on, but no longer looked at by its old name.
      c rename /v/map /v/map2
      m fstat 0 => ENOENT
      m ftruncate 0 10 => ENOENT
      m pwrite 0 0 E
      c pread 0 0 2 => E1
      c rename /v/map2 /v/map
      m ftruncate 0 10
      # Removed by the machine itself: the same, except that it is looked at.
      m open 1 /v/gone rwc
      m write 1 data
      m unlink /v/gone
      m fstat 1 => file 644 0:0 4 0 *
      m pwrite 1 0 D
      m pread 1 0 10 => Data
      m ftruncate 1 1 => ENOENT
      m fchmod 1 600 => ENOENT
      c open 1 /v/gone rwc
      c unlink /v/gone
      c ftruncate 1 1
      # What a machine cannot ask for on a share.
      m open 2 /v rwT => EOPNOTSUPP
      m allocate 0 0 100 => EOPNOTSUPP
      m exchange /v/map /v/log => EINVAL
      c allocate 0 0 100
      c exchange /v/map /v/log
    `);
  },
  testTimeout,
);

test(
  "locks hold between containers, and within a machine; not between machines or over the wall",
  async () => {
    await expectCourse(`
      c open 0 /v/l rwc
      c open 1 /v/l rw
      d open 0 /v/l rw
      m open 0 /v/l rw
      m open 1 /v/l rw
      n open 0 /v/l rw
      c lock 0 w
      d lock 0 w => EAGAIN
      m lock 0 w
      n lock 0 w
      c lock 0 u
      m lock 0 u
      n lock 0 u
      c flock 0 x
      d flock 0 x => EAGAIN
      m flock 0 x
      m flock 1 x => EAGAIN
      n flock 0 x
      c flock 0 u
      m flock 0 u
      n flock 0 u
      m ofd-lock 0 w
      m ofd-lock 1 w => EAGAIN
      d ofd-lock 0 w
      c ofd-lock 0 w => EAGAIN
    `);
  },
  testTimeout,
);

test(
  "owners, modes, times, links and attributes are the same for all",
  async () => {
    await expectCourse(`
      m open 2 /v/mine wcx 600
      m chown /v/mine 1234 65000
      m chmod /v/mine 6755
      m times /v/mine 1000 2000
      c stat /v/mine => file 6755 1234:65000 0 1 2000
      n stat /v/mine => file 6755 1234:65000 0 1 2000
      c open 2 /v/yours wcx 640
      c chown /v/yours 65534 7
      c times /v/yours 3000 -5
      m stat /v/yours => file 640 65534:7 0 1 -5
      # A write takes what gives an identity, whoever writes.
      m pwrite 2 0 x
      m times /v/mine 1000 2000
      c stat /v/mine => file 755 1234:65000 1 1 2000
      # Ids beyond 65535 are nobody's for a machine, and cannot be given.
      c chown /v/yours 100000 100000
      m stat /v/yours => file 640 65534:65534 0 1 -5
      m open 3 /v/yours r => EACCES
      m chmod /v/yours 644 => EOVERFLOW
      m chown /v/mine 70000 70000 => EINVAL
      m set-attribute /v/mine user.m from-m
      c attribute /v/mine user.m => from-m
      c set-attribute /v/mine user.c from-c
      n attribute /v/mine user.c => from-c
      n remove-attribute /v/mine user.m
      c attribute /v/mine user.m => ENODATA
      c set-attribute /v/mine trusted.c x => EPERM
      m set-attribute /v/mine trusted.m x => EPERM
      m link /v/mine /v/hard
      c link /v/hard /v/hard2
      m stat /v/mine => file 755 1234:65000 1 3 2000
      n unlink /v/hard
      c stat /v/mine => file 755 1234:65000 1 2 2000
      # A link leads to what is at its target for whoever follows it, and never out.
      m symlink ../../../../etc/issue /v/out
      c readlink /v/out => ../../../../etc/issue
      m chown /v/out 5 6
      m times /v/out 7 8
      c stat /v/out => link 777 5:6 21 1 8
      m open 4 /v/out r => ENOENT
      # Special files: seen and removed; a machine makes none, and each kernel has its own ends of a pipe.
      c mknod /v/fifo p 600
      c mknod /v/socket s 644
      c mknod /v/null c 666
      m stat /v/null => char 666 0:0 0 1 *
      m stat /v/socket => socket 644 0:0 0 1 *
      m chmod /v/fifo 644 => ENXIO
      m mknod /v/fifo2 p 644 => ENXIO
      m mknod /v/socket2 s 644 => ENXIO
      m mknod /v/null2 c 666 => EPERM
      c stat /v/fifo2 => ENOENT
      m unlink /v/fifo
      c stat /v/fifo => ENOENT
      # Ten gigabytes.
      m open 5 /v/big rwc
      m ftruncate 5 10737418240
      m pwrite 5 10737418200 end
      c open 5 /v/big rw
      c pread 5 10737418200 10 => end
      c pwrite 5 5000000000 middle
      m pread 5 5000000000 10 => middle
      n stat /v/big => file 644 0:0 10737418240 1 *
    `);
    const big = statSync(join(place, "big"));
    expect(big.size).toBe(10 * 2 ** 30);
    expect(big.blocks).toBeLessThan(100);
  },
  testTimeout,
);
