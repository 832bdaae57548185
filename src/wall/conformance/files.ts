/** Promises about a workload's files: read and written from outside, whatever state the workload is in. */
import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { isHullError } from "../../contract/errors.ts";
import type { FileEntry, FilePart, Files, LayerEntry } from "../files.ts";
import { type Bench, type DefinePromise, errorCodeOf, shell } from "./bench.ts";

interface Found {
  readonly entries: Map<string, FileEntry | LayerEntry>;
  readonly contents: Map<string, string>;
}

async function gather(parts: AsyncIterable<FilePart | { readonly entry: LayerEntry }>): Promise<Found> {
  const entries = new Map<string, FileEntry | LayerEntry>();
  const contents = new Map<string, string>();
  let last = "";
  for await (const part of parts)
    if ("entry" in part) {
      last = part.entry.path;
      entries.set(last, part.entry);
    } else contents.set(last, (contents.get(last) ?? "") + Buffer.from(part.data).toString("latin1"));
  return { entries, contents };
}

export function fileEntry(path: string, changes: Partial<FileEntry> = {}): FileEntry {
  return {
    ...{ type: "file", path, linkTarget: "", mode: 0o644, uid: 0, gid: 0, size: 0 },
    ...{ mtime: { seconds: 1_000_000, nanoseconds: 0 }, deviceMajor: 0, deviceMinor: 0 },
    ...{ xattrs: new Map(), sparse: undefined },
    ...changes,
  };
}

async function* partsOf(
  ...files: readonly (readonly [FileEntry, string])[]
): AsyncGenerator<FilePart, void, undefined> {
  for (const [entry, content] of files) {
    yield { entry: { ...entry, size: entry.type === "file" ? content.length : 0 } };
    if (content !== "") yield { data: Buffer.from(content, "latin1") };
  }
}

const put = { keepKind: false };

export function describeFiles(promise: DefinePromise, bench: Bench): void {
  promise("what was written before the start is there for the first instruction", async () => {
    const sandbox = await bench.created("cat /tmp/in/note; stat -c '%a %u %g %Y' /tmp/in/note");
    const files = [
      [fileEntry("in", { type: "directory", mode: 0o750 }), ""],
      [fileEntry("in/note", { mode: 0o4751, uid: 1000, gid: 29 }), "a word\n"],
    ] as const;
    await sandbox.files.write("/tmp", partsOf(...files), put);
    const log = bench.logOf(sandbox);
    await sandbox.start();
    await sandbox.wait();
    expect(log()).toBe("a word\n4751 1000 29 1000000\n");
  });

  promise("a running workload's files of every kind come out as they are, in order", async () => {
    const script =
      "mkdir -m 700 /d && cd /d && echo one > b && ln b c && ln -s /nowhere l && busybox mkfifo f && " +
      "busybox truncate -s 10000000 hole && mkdir a && echo two > a/x && chown 7:8 a/x && chmod 4711 a/x; " +
      "touch -d @12345 a/x; echo ready; sleep 1000";
    const { sandbox, text } = await bench.attached(script);
    await text.until("ready");
    const { entries, contents } = await gather(sandbox.files.read("/d"));
    expect([...entries.keys()]).toEqual(["", "a", "a/x", "b", "c", "f", "hole", "l"]);
    expect(entries.get("")).toMatchObject({ type: "directory", mode: 0o700 });
    expect(entries.get("a/x")).toMatchObject({ mode: 0o4711, uid: 7, gid: 8, mtime: { seconds: 12345 } });
    expect(entries.get("c")).toMatchObject({ type: "hardlink", linkTarget: "b" });
    expect(entries.get("f")?.type).toBe("fifo");
    expect(entries.get("l")).toMatchObject({ type: "symlink", linkTarget: "/nowhere" });
    expect(entries.get("hole")).toMatchObject({ size: 10_000_000 });
    expect(contents.get("b")).toBe("one\n");
    expect(contents.get("a/x")).toBe("two\n");
    expect((await gather(sandbox.files.read("/d/b"))).contents.get("")).toBe("one\n");
    expect(await sandbox.files.status("/d/l")).toMatchObject({ type: "symlink", linkTarget: "/nowhere" });
    expect(await errorCodeOf(gather(sandbox.files.read("/d/none")))).toBe("noSuchFile");
    // What the kernel mounts is not the workload's.
    expect(await errorCodeOf(sandbox.files.status("/proc/1"))).toBe("noSuchFile");
    expect(await errorCodeOf(sandbox.files.status("/dev/null"))).toBe("noSuchFile");
  });

  promise("links lead nowhere but into the workload", async () => {
    const mark = `hull-conformance-${process.pid}`;
    const script = `ln -s /tmp /up && ln -s ../../../../../../tmp /climb && echo ready; sleep 1000`;
    const { sandbox, text } = await bench.attached(script);
    await text.until("ready");
    await sandbox.files.write("/up", partsOf([fileEntry(mark), "1"]), put);
    await sandbox.files.write("/", partsOf([fileEntry(`climb/2${mark}`), "2"]), put);
    expect((await bench.exec(sandbox, `cat /tmp/${mark} /tmp/2${mark}`)).stdout).toBe("12");
    expect(existsSync(`/tmp/${mark}`) || existsSync(`/tmp/2${mark}`)).toBe(false);
    expect((await gather(sandbox.files.read(`/climb/${mark}`))).contents.get("")).toBe("1");
  });

  promise("writing replaces what is there, unless kinds are to be kept", async () => {
    const { sandbox, text } = await bench.attached(
      "mkdir -p /t/dir/deep /t/link && echo x > /t/file && ln -s /t/dir /t/s && echo ready; sleep 1000",
    );
    await text.until("ready");
    const write = (path: string, entry: FileEntry, content = "", options = put) =>
      sandbox.files.write(path, partsOf([entry, content]), options);
    const keep = { keepKind: true };
    expect(await errorCodeOf(write("/t", fileEntry("dir"), "f", keep))).toBe("fileConflict");
    const directory = fileEntry("file", { type: "directory", mode: 0o755 });
    expect(await errorCodeOf(write("/t", directory, "", keep))).toBe("fileConflict");
    await write("/t", fileEntry("dir"), "now a file");
    await write("/t", directory);
    await write("/t", fileEntry("new/er/x", { uid: 5 }), "deep");
    expect((await bench.exec(sandbox, "cat /t/dir; stat -c %F /t/file; cat /t/new/er/x")).stdout).toBe(
      "now a filedirectory\ndeep",
    );
    expect(await errorCodeOf(write("/t/dir", fileEntry("x")))).toBe("notDirectory");
    expect(await errorCodeOf(write("/nowhere", fileEntry("x")))).toBe("noSuchFile");
    const owner = { keepKind: false, owner: { uid: 12, gid: 13 } };
    await sandbox.files.write("/t", partsOf([fileEntry("q/owned", { uid: 5 }), ""]), owner);
    expect((await bench.exec(sandbox, "stat -c %u:%g /t/q /t/q/owned")).stdout).toBe("12:13\n12:13\n");
  });

  promise("a workload that exchanges directories and links meanwhile leads nothing outside", async () => {
    const mark = `hull-race-${process.pid}`;
    const climb = "../../../../../../../../tmp";
    const script =
      `mkdir -p /r/a; echo own > /r/a/f; echo ready; while :; do mv /r/a /r/b; ln -s ${climb} /r/a; ` +
      "busybox usleep 200; rm /r/a; mv /r/b /r/a; done";
    const { sandbox, text } = await bench.attached(script);
    await text.until("ready");
    for (let round = 0; round < 40; round++) {
      await sandbox.files.write("/r/a", partsOf([fileEntry(mark), "1"]), put).catch(() => undefined);
      await sandbox.files.write("/", partsOf([fileEntry(`r/a/${mark}`), "2"]), put).catch(() => undefined);
      const found = await gather(sandbox.files.read("/r/a/.")).catch(() => undefined);
      // It is the workload's own directory, or its own /tmp, and never this machine's.
      expect([undefined, "own\n"]).toContain(found?.contents.get("f"));
      expect(existsSync(`/tmp/${mark}`)).toBe(false);
    }
  });

  promise("the layer has what differs from the image, its marks included", async () => {
    const script =
      "rm /etc/os-release; mkdir -p /a/b; echo x > /a/b/c; rm -rf /home && mkdir /home && echo n > /home/n; " +
      "echo more >> /etc/group; echo ready; sleep 1000";
    const { sandbox, text } = await bench.attached(script);
    await text.until("ready");
    const { entries, contents } = await gather(sandbox.files.layer());
    const own = [...entries].filter(([path]) => /^(a|etc\/(os|group)|home)/.test(path));
    expect(own.map(([path, { type }]) => `${path} ${type}`)).toEqual([
      ...["a directory", "a/b directory", "a/b/c file", "etc/group file", "etc/os-release whiteout"],
      ...["home directory", "home/n file"],
    ]);
    expect(entries.get("home")).toMatchObject({ opaque: true, below: { type: "directory" } });
    expect(entries.get("a")).toMatchObject({ opaque: false, below: undefined });
    expect(entries.get("etc/group")).toMatchObject({ below: { type: "file", mode: 0o644 } });
    expect(contents.get("a/b/c")).toBe("x\n");
    const changes: string[] = [];
    for await (const { path, type } of sandbox.files.changes()) changes.push(`${path} ${type}`);
    expect(changes.filter((change) => change.startsWith("home"))).toEqual([
      "home directory",
      "home/alice whiteout",
      "home/n file",
    ]);
  });

  promise("the files of a workload that does not run can be read, and what is written is kept", async () => {
    const spec = bench.spec({ process: shell("cat /tmp/left; echo first > /mine") });
    {
      await using opened = await bench.openFiles(spec);
      await opened.files.write("/tmp", partsOf([fileEntry("left"), "from outside\n"]), put);
    }
    expect((await bench.runSpec(spec)).stdout).toBe("from outside\n");
    await bench.remove(spec);
    {
      await using opened = await bench.openFiles(spec);
      expect((await gather(opened.files.read("/mine"))).contents.get("")).toBe("first\n");
      const { entries } = await gather(opened.files.layer());
      expect(entries.has("mine") && entries.has("tmp/left")).toBe(true);
    }
    expect(await bench.recovers(spec)).toBe(false);
  });

  promise("a paused workload's files can be read while it stands still", async () => {
    const script = "i=0; while :; do i=$((i+1)); echo $i > /count; echo .; sleep 0.01; done";
    const { sandbox, text } = await bench.attached(script);
    await text.until(".");
    await sandbox.pause();
    const count = async (files: Files) => (await gather(files.read("/count"))).contents.get("");
    const before = await count(sandbox.files);
    await bench.settle();
    expect(await count(sandbox.files)).toBe(before);
    await sandbox.files.write("/tmp", partsOf([fileEntry("while-paused"), "w"]), put);
    await sandbox.resume();
    expect((await bench.exec(sandbox, "cat /tmp/while-paused")).stdout).toBe("w");
  });

  promise("a reader that leaves ends the reading, and a source that fails the writing", async () => {
    const { sandbox, text } = await bench.attached(
      "dd if=/dev/zero of=/large bs=1M count=20 2>/dev/null; echo ready; sleep 1000",
    );
    await text.until("ready");
    for await (const part of sandbox.files.read("/large")) if ("data" in part) break;
    async function* failing(): AsyncGenerator<FilePart, void, undefined> {
      yield { entry: fileEntry("half", { size: 1000 }) };
      throw new Error("the client left");
    }
    const failure = await sandbox.files.write("/tmp", failing(), put).catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: "the client left" });
    expect(isHullError(failure)).toBe(false);
    expect((await sandbox.files.status("/large")).size).toBe(20 * 1024 * 1024);
  });
}
