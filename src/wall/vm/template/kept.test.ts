/** hull-freeze and hull-thaw without a machine: against a process that has just what each of them is to be tried with. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { type RunResult, run } from "../../../host/spawn.ts";

const directory = mkdtempSync(join(tmpdir(), "kpt-"));
const guest = join(import.meta.dir, "../../../../.cache/guest");
const program = join(directory, "kept");
const [image, memory, file] = [join(directory, "image"), join(directory, "memory"), join(directory, "file")];
const memoryNumber = 5;
const generation = Buffer.from("0123456789abcdef").toString("hex");
/** Exit codes of hull-freeze. */
const [refused, refusedForNow] = [1, 2];

beforeAll(async () => {
  const source = join(import.meta.dir, "../../../../guest/test/kept.c");
  const built = await run(["cc", "-D_GNU_SOURCE", "-static-pie", "-O1", "-o", program, source]);
  expect([built.code, built.stderr]).toEqual([0, ""]);
  writeFileSync(file, "");
});
let subject: Subprocess<"ignore", "pipe", "ignore"> | undefined;
afterEach(end);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A process that stands still, the first one of its name space as QEMU is. */
async function startWith(what: string): Promise<number> {
  const words = ["unshare", "--pid", "--fork", program, String(memoryNumber), what, file];
  subject = Bun.spawn(words, { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  const reader = subject.stdout.getReader();
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("ready\n");
  return childrenOf(subject.pid)[0] ?? 0;
}

async function end(): Promise<void> {
  for (const pid of subject === undefined ? [] : childrenOf(subject.pid)) process.kill(pid, "SIGKILL");
  await subject?.exited;
  subject = undefined;
}

/** None of one that has ended. */
function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  return existsSync(path) ? readFileSync(path, "utf8").trim().split(" ").filter(Boolean).map(Number) : [];
}

function freeze(pid: number): Promise<RunResult> {
  writeFileSync(image, "");
  return run([join(guest, "hull-freeze"), String(pid), String(memoryNumber), image, generation]);
}

function thaw(): Promise<RunResult> {
  const script = `exec unshare --pid --fork "$0" ${memoryNumber}<"$1" 6<"$2" 7</dev/null`;
  return run(["sh", "-c", script, join(guest, "hull-thaw"), memory, image]);
}

/** What a process says that went on as a copy. */
async function copyOf(what: string): Promise<string[]> {
  const pid = await startWith(what);
  copyFileSync(`/proc/${pid}/fd/${memoryNumber}`, memory);
  const frozen = await freeze(pid);
  expect([frozen.stderr, frozen.code]).toEqual(["", 0]);
  const { code, stdout, stderr } = await thaw();
  expect([stderr, code]).toEqual(["", 0]);
  return stdout.trim().split("\n");
}

test("a process goes on as a copy", async () => {
  expect(await copyOf("nothing")).toEqual(["went on"]);
});

test("what may pass is refused for now, and what stays for good", async () => {
  const now = await freeze(await startWith("socket"));
  expect([now.code, now.stderr]).toEqual([refusedForNow, expect.stringContaining("is socket:[")]);
  await end();
  const ever = await freeze(await startWith("pipe"));
  expect([ever.code, ever.stderr]).toEqual([refused, expect.stringContaining("is pipe:[")]);
});

test("a descriptor where hull-thaw has the image is refused", async () => {
  const { code, stderr } = await freeze(await startWith("high"));
  expect([code, stderr]).toEqual([refused, expect.stringContaining("descriptor 1000")]);
});

test("a copy has the locks of its files again", async () => {
  expect(await copyOf("locks")).toEqual(["100 write", "200 read", "200 write", "went on"]);
});

test("a copy has the pages again that nobody may touch", async () => {
  expect(await copyOf("guard")).toEqual(["there", "guarded", "there", "went on"]);
});

test("what takes too long is refused for now, and says so", async () => {
  const pid = await startWith("child");
  writeFileSync(image, "");
  const words = [join(guest, "hull-freeze"), String(pid), String(memoryNumber), image, generation];
  const freezing = Bun.spawn(words, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const traced = `TracerPid:\t${freezing.pid}\n`;
  while (!readFileSync(`/proc/${pid}/status`, "utf8").includes(traced)) await Bun.sleep(1);
  // Sooner than the time is over.
  freezing.kill("SIGALRM");
  expect(await new Response(freezing.stderr).text()).toBe("hull-freeze: it takes too long\n");
  expect(await freezing.exited).toBe(refusedForNow);
});

test("an image that is damaged is none", async () => {
  const pid = await startWith("nothing");
  copyFileSync(`/proc/${pid}/fd/${memoryNumber}`, memory);
  expect((await freeze(pid)).code).toBe(0);
  const whole = readFileSync(image);
  // Tables of image.h: each has u64 offset, u64 count.
  const [firstTable, tables] = [16, 10];
  for (let table = 0; table < tables; table++)
    for (const at of [0, 8]) {
      const damaged = Buffer.from(whole);
      damaged.writeBigUInt64LE(2n ** 40n, firstTable + 16 * table + at);
      writeFileSync(image, damaged);
      const { code, stderr } = await thaw();
      expect([code, stderr]).toEqual([1, expect.stringMatching(/no image|is damaged/)]);
    }
  writeFileSync(image, whole.subarray(0, 4096));
  expect((await thaw()).stderr).toContain("is damaged");
  writeFileSync(image, whole);
  expect((await thaw()).stdout).toBe("went on\n");
});

test("a process that is refused has lost no signal", async () => {
  const pid = await startWith("signals");
  for (let time = 0; time < 50; time++) expect((await freeze(pid)).code).toBeOneOf([refused, refusedForNow]);
  // It ends when one is missing.
  expect(subject?.exitCode).toBe(null);
});
