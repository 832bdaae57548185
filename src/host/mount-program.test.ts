import { expect, test } from "bun:test";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { scratch } from "../../test/support/disks.ts";
import { hungMount } from "../../test/support/hung-mount.ts";
import { until } from "../../test/support/until.ts";
import { requireAnswer } from "./answering.ts";
import { unmount } from "./mount.ts";
import { mountByProgram, mountTelling } from "./mount-program.ts";

test("options go to mount(8), and past its helpers when they name a server's address", () => {
  const told = (type: string, source: string, options: string): string => {
    const { command, table } = mountTelling({ type, source, options, target: "/t" });
    return `${command.includes("-i") ? "-i " : ""}${table.trimEnd()}`;
  };
  expect(told("nfs", ":/export", "addr=10.0.0.1,nfsvers=4.2,soft,ro")).toBe(
    "-i :/export /t nfs addr=10.0.0.1,nfsvers=4.2,soft,ro 0 0",
  );
  expect(told("nfs", "host:/export", "soft")).toBe("host:/export /t nfs soft 0 0");
  expect(told("cifs", "//host/share", "username=u,addr=10.0.0.1")).toStartWith("-i //host/share");
  expect(told("tmpfs", "tmpfs", "addr=1")).toBe("tmpfs /t tmpfs addr=1 0 0");
  expect(told("none", "/d", "")).toBe("/d /t none defaults 0 0");
});

test.each(["username=u,password=a b#é,ro", "username=u,pass=a b#é,ro", "addr=10.0.0.1,password=a b#é,ro"])(
  "a password in %p is no argument of mount(8) or of mount.cifs(8)",
  (options) => {
    const { command, table, env } = mountTelling({ type: "cifs", source: "//h/s", target: "/t", options });
    expect(command.join(" ")).not.toContain("a b");
    if (options.startsWith("addr=")) expect(table).toContain("password=a\\040b\\043\\303\\251");
    else expect([env, table]).toEqual([{ PASSWD: "a b#é" }, "//h/s /t cifs username=u,ro 0 0\n"]);
  },
);

test("mounts what has spaces and other letters in its name, with its options", async () => {
  await using place = await scratch();
  const [source, target] = [join(place.path, "of # two\t\\words é"), join(place.path, "to these, 'too'")];
  await Promise.all([mkdir(source), mkdir(target)]);
  await writeFile(join(source, "file"), "");
  await mountByProgram({ type: "none", source, target, options: "bind,ro" });
  try {
    expect(await readdir(target)).toEqual(["file"]);
    await expect(writeFile(join(target, "other"), "")).rejects.toThrow("EROFS");
  } finally {
    unmount(target);
  }
});

test("no user of the host sees the options of what is being mounted", async () => {
  await using hung = await hungMount();
  await using target = await scratch();
  const request = { type: "none", source: join(hung.path, "sub"), target: target.path };
  const mounting = mountByProgram({ ...request, options: "bind,x-secret" }, 2).catch(() => undefined);
  let seen: string[] = [];
  await until("mount(8) runs", async () => {
    seen = await commandLines();
    return seen.some((line) => line.startsWith("mount") && line.includes(target.path));
  });
  expect(seen.filter((line) => line.includes("x-secret"))).toEqual([]);
  await mounting;
  await requireAnswer(target.path, 10_000);
});

async function commandLines(): Promise<string[]> {
  const processes = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  return await Promise.all(
    processes.map(async (id) =>
      (await readFile(`/proc/${id}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " "),
    ),
  );
}

test("a server whose name is not known is named", async () => {
  const options = "soft,addr=absent.invalid";
  const request = { type: "nfs", source: ":/export", target: "/absent", options };
  await expect(mountByProgram(request)).rejects.toThrow("server absent.invalid is not known");
});

test("what does not answer is given up, and its mount is not left", async () => {
  await using hung = await hungMount();
  await using target = await scratch();
  const request = { type: "none", source: join(hung.path, "sub"), target: target.path, options: "bind" };
  await expect(mountByProgram(request, 1)).rejects.toThrow("does not answer within 1 s");
  await expect(requireAnswer(hung.path, 200)).rejects.toThrow("does not answer within 0.2 s");
  await requireAnswer(target.path, 10_000);
});
