import { expect, test } from "bun:test";
import { interpreterOf } from "./program.ts";

test("a script names its interpreter", () => {
  expect(interpreterOf(Buffer.from("#!/bin/sh\necho"))).toBe("/bin/sh");
  expect(interpreterOf(Buffer.from("#! /usr/bin/env python3\n"))).toBe("/usr/bin/env");
  expect(interpreterOf(Buffer.from("#!relative"))).toBe("");
  expect(interpreterOf(Buffer.from("#!/bin/sh\0\0nothing of this\n"))).toBe("/bin/sh");
  expect(interpreterOf(Buffer.from("#!/bin/é\n"))).toBe("/bin/é");
  expect(interpreterOf(Buffer.from("#!/bin/\xe9\n", "latin1"))).toBe("");
});

test("a static program needs none, a dynamic one its linker", async () => {
  const head = async (path: string): Promise<Buffer> =>
    Buffer.from(await Bun.file(path).slice(0, 4096).arrayBuffer());
  expect(interpreterOf(await head(Bun.which("busybox") ?? ""))).toBe("");
  expect(interpreterOf(await head("/bin/true"))).toMatch(/^\/lib.*\/ld-linux/);
});

test("anything else is no program, however short or broken", () => {
  expect(interpreterOf(Buffer.from("hello"))).toBeUndefined();
  expect(interpreterOf(Buffer.alloc(0))).toBeUndefined();
  const broken = Buffer.alloc(64, 0xff);
  broken.write("\x7fELF\x02\x01", "latin1");
  expect(interpreterOf(broken)).toBe("");
});
