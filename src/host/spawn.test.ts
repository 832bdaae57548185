import { expect, test } from "bun:test";
import { run } from "./spawn.ts";
import { errnoNameOf, explainWriteError, SystemError } from "./system-error.ts";

test("output, errors and the exit code are told apart", async () => {
  expect(await run(["sh", "-c", "echo out; echo err >&2; exit 3"])).toEqual({
    code: 3,
    stdout: "out\n",
    stderr: "err\n",
  });
});

test("a signal counts as 128 and its number", async () => {
  expect((await run(["sh", "-c", "kill -9 $$"])).code).toBe(137);
});

test("only the first bytes of a long output are kept, and the program is not held up", async () => {
  const { code, stdout } = await run(["sh", "-c", "head -c 3000000 /dev/zero"], { outputLimit: 1000 });
  expect(code).toBe(0);
  expect(stdout.length).toBe(1000);
});

test("a program that is not installed is a missing thing of the host", async () => {
  await expect(run(["no-such-program"])).rejects.toMatchObject({ code: "hostMissing" });
});

test("the environment is the plain one, or the one given", async () => {
  expect((await run(["sh", "-c", "echo $HOME$LC_ALL"])).stdout).toBe("C\n");
  expect((await run(["/bin/sh", "-c", "echo $A"], { env: { A: "b" } })).stdout).toBe("b\n");
});

test("a full disk and a forbidden path are explained to the user", () => {
  const full = explainWriteError(new SystemError("write", "/x", 28), "a layer", "/var/x");
  expect(full).toMatchObject({ code: "noSpace", message: expect.stringContaining("/var/x") });
  const forbidden = explainWriteError(new SystemError("open", "/x", 13), "a layer", "/var/x");
  expect(forbidden).toMatchObject({
    code: "notWritable",
    message: expect.stringContaining("permission denied"),
  });
  const other = new SystemError("open", "/x", 2);
  expect(explainWriteError(other, "a layer", "/var/x")).toBe(other);
  expect(errnoNameOf(other)).toBe("ENOENT");
  expect(errnoNameOf(new SystemError("connect", "/x", 11))).toBe("EAGAIN");
});
