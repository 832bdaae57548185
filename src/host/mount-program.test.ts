import { expect, test } from "bun:test";
import { join } from "node:path";
import { scratch } from "../../test/support/disks.ts";
import { hungMount } from "../../test/support/hung-mount.ts";
import { requireAnswer } from "./answering.ts";
import { mountArguments, mountByProgram } from "./mount-program.ts";

test("options go to mount(8), and past its helpers when they name a server's address", () => {
  const words = (type: string, source: string, options: string): string =>
    mountArguments({ type, source, options, target: "/t" }).join(" ");
  expect(words("nfs", ":/export", "addr=10.0.0.1,nfsvers=4.2,soft,ro")).toBe(
    "mount -i -t nfs -o addr=10.0.0.1,nfsvers=4.2,soft,ro -- :/export /t",
  );
  expect(words("nfs", "host:/export", "soft")).toBe("mount -t nfs -o soft -- host:/export /t");
  expect(words("cifs", "//host/share", "username=u,addr=10.0.0.1")).toStartWith("mount -i -t cifs");
  expect(words("tmpfs", "tmpfs", "addr=1")).toBe("mount -t tmpfs -o addr=1 -- tmpfs /t");
  expect(words("none", "/d", "")).toBe("mount -t none -- /d /t");
});

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
