import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeDirectoryInRoot, readFileInRoot, withFileInRoot } from "./rooted.ts";
import { run, start } from "./spawn.ts";

const outside = mkdtempSync(join(tmpdir(), "rooted-"));
const root = join(outside, "root");

beforeAll(async () => {
  mkdirSync(join(root, "etc"), { recursive: true });
  writeFileSync(join(root, "etc/passwd"), "inside");
  writeFileSync(join(outside, "secret"), "outside");
  symlinkSync("/etc/passwd", join(root, "absolute"));
  symlinkSync("../../../../secret", join(root, "climbing"));
  symlinkSync(join(outside, "secret"), join(root, "pointing"));
  symlinkSync("/etc", join(root, "directory"));
  symlinkSync("loop", join(root, "loop"));
  symlinkSync("/nowhere", join(root, "dangling"));
  expect((await run(["mkfifo", join(root, "fifo")])).code).toBe(0);
});

afterAll(() => rmSync(outside, { recursive: true }));

describe("reading below a root", () => {
  const text = (path: string): string | undefined => readFileInRoot(root, path, 100)?.toString();

  test("links, absolute ones too, end inside", () => {
    expect(text("/etc/passwd")).toBe("inside");
    expect(text("absolute")).toBe("inside");
    expect(text("directory/passwd")).toBe("inside");
    expect(text("../../etc/passwd")).toBe("inside");
  });

  test("nothing leads outside", () => {
    for (const path of ["climbing", "pointing", "../secret", "/../secret"])
      expect(text(path)).toBeUndefined();
  });

  test("what is no regular file is not read, and nothing waits for a fifo", () => {
    for (const path of ["etc", "loop", "dangling", "fifo", "etc/passwd/below", "missing"])
      expect(text(path)).toBeUndefined();
    expect(withFileInRoot(root, "fifo", () => "seen")).toBe("seen");
  });

  test("a file over the limit is refused", () => {
    expect(() => readFileInRoot(root, "etc/passwd", 3)).toThrow("over the limit of 3");
  });

  test("files of /proc, whose reading may wait for ever, are not read", () => {
    expect(readFileInRoot("/proc", "kmsg", 10_000)?.length ?? 0).toBe(0);
    expect(readFileInRoot("/proc/self", "stat", 10_000)?.length).toBe(0);
  });

  test("names that cannot be are not there", () => {
    for (const path of ["a".repeat(300), "a/".repeat(3000), "etc\0/passwd"])
      expect(withFileInRoot(root, path, () => "seen")).toBeUndefined();
  });

  test("a lease of somebody else is not waited for", async () => {
    writeFileSync(join(root, "leased"), "held");
    const script =
      "import fcntl, os, signal, sys; signal.signal(signal.SIGIO, signal.SIG_IGN); " +
      "fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_SETLEASE, fcntl.F_WRLCK); print(1, flush=True); sys.stdin.read()";
    const holder = start(["python3", "-c", script, join(root, "leased")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    try {
      if (!(holder.stdout instanceof ReadableStream)) throw new Error("it was started with pipes");
      await holder.stdout.getReader().read();
      const before = Date.now();
      expect(text("leased")).toBeUndefined();
      expect(Date.now() - before).toBeLessThan(5000);
    } finally {
      holder.kill(9);
      await holder.exited;
    }
    expect(text("leased")).toBe("held");
  });
});

describe("making directories below a root", () => {
  test("missing parents are made, with the usual mode", () => {
    makeDirectoryInRoot(root, "/a/b/c");
    makeDirectoryInRoot(root, "/a/b/c");
    expect(statSync(join(root, "a/b/c")).mode & 0o777).toBe(0o755);
  });

  test("links are followed inside only", () => {
    makeDirectoryInRoot(root, "/directory/new");
    expect(existsSync(join(root, "etc/new"))).toBe(true);
    symlinkSync("/../../made-outside", join(root, "escape"));
    expect(() => makeDirectoryInRoot(root, "/escape/x")).toThrow();
    expect(existsSync(join(outside, "made-outside"))).toBe(false);
  });

  test("a file or a dangling link in the way is an error", () => {
    expect(() => makeDirectoryInRoot(root, "/etc/passwd/x")).toThrow("not a directory");
    expect(() => makeDirectoryInRoot(root, "/dangling")).toThrow("not a directory");
    expect(readFileSync(join(root, "etc/passwd"), "utf8")).toBe("inside");
    expect(lstatSync(join(root, "dangling")).isSymbolicLink()).toBe(true);
  });
});
