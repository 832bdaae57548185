import { expect, test } from "bun:test";
import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { isHullError } from "../../contract/errors.ts";
import { tempDirectory } from "../testing/temp.ts";
import { BufferedFile } from "./buffered-file.ts";

test("writes, gaps and zeros come out as they went in, and zeros cost no disk", async () => {
  await using temp = await tempDirectory();
  const path = join(temp.path, "file");
  await using file = new BufferedFile(path);
  const parts: Buffer[] = [];
  const write = (bytes: Buffer) => {
    file.write(bytes);
    parts.push(bytes);
  };
  const skip = (bytes: number) => {
    file.skipTo(file.position + bytes);
    parts.push(Buffer.alloc(bytes));
  };
  write(Buffer.from("start"));
  skip(3);
  write(crypto.getRandomValues(Buffer.alloc(50_000)));
  for (let i = 0; i < 60; i++) write(Buffer.alloc(50_000, i));
  skip(5_000_000);
  write(Buffer.from("middle"));
  write(Buffer.alloc(10_000_000));
  await file.drain();
  skip(2_000_000);
  write(Buffer.from("end"));
  skip(4096);
  await file.flush();
  await file.rewrite(Buffer.from("START"), 0);
  await file.finish("durable");
  parts[0] = Buffer.from("START");
  expect(readFileSync(path).equals(Buffer.concat(parts))).toBe(true);
  expect(statSync(path).blocks * 512).toBeLessThan(8_000_000);
});

test("nothing is written once it is closed, and an existing file is not touched", async () => {
  await using temp = await tempDirectory();
  const path = join(temp.path, "file");
  const file = new BufferedFile(path);
  file.write(Buffer.from("x"));
  await file.finish("written");
  await file.finish("durable");
  expect(() => file.write(Buffer.from("y"))).toThrow("is closed");
  expect(() => file.skipTo(100)).toThrow("is closed");
  expect(() => new BufferedFile(path)).toThrow();
  expect(readFileSync(path, "utf8")).toBe("x");
});

test("a folder that cannot be written to is said so", async () => {
  try {
    new BufferedFile("/proc/hull-test");
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    expect(isHullError(error, "noSpace")).toBe(false);
    return;
  }
  throw new Error("it was made");
});

test("a file that is closed keeps its place, and no memory", async () => {
  await using temp = await tempDirectory();
  const megabyte = crypto.getRandomValues(Buffer.alloc(65_536)).toString("latin1").repeat(16);
  const bytes = Buffer.from(megabyte, "latin1");
  const closed: BufferedFile[] = [];
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 40; i++) {
    const file = new BufferedFile(join(temp.path, String(i)));
    for (let part = 0; part < 4; part++) file.write(bytes);
    file.write(bytes.subarray(0, 1000));
    await file.finish("written");
    closed.push(file);
    rmSync(file.path);
  }
  Bun.gc(true);
  expect(process.memoryUsage.rss() - before).toBeLessThan(80_000_000);
  expect(closed.map((file) => file.position)).toEqual(Array(40).fill(4 * bytes.length + 1000));
});
