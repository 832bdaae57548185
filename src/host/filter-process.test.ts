import { expect, setDefaultTimeout, test } from "bun:test";
import { isHullError } from "../contract/errors.ts";
import { FilterFailure, filterThrough } from "./filter-process.ts";

// Other programs do much of the work, on a machine that may be busy.
setDefaultTimeout(120_000);

async function* chunks(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += Buffer.from(chunk).toString();
  return text;
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test("what goes in comes out filtered", async () => {
  expect(await collect(filterThrough(["tr", "a-z", "A-Z"], chunks("hello ", "world")))).toBe("HELLO WORLD");
});

test("a program that fails is an error in its own words, also when it does not read its input", async () => {
  const command = ["sh", "-c", "echo no such thing >&2; exit 3"];
  const error = await failure(collect(filterThrough(command, chunks("x".repeat(1_000_000)))));
  expect(error).toBeInstanceOf(FilterFailure);
  expect(String(error)).toContain("sh ended with 3: no such thing");
});

test("a source that fails ends the program, and its error comes through", async () => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("x");
    throw new Error("broken source");
  }
  expect(await failure(collect(filterThrough(["cat"], failing())))).toMatchObject({
    message: "broken source",
  });
});

test("a caller that stops reading ends the program, and the source is read no further", async () => {
  let given = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      given++;
      yield Buffer.alloc(65_536);
    }
  }
  for await (const chunk of filterThrough(["cat"], endless())) {
    expect(chunk.length).toBeGreaterThan(0);
    break;
  }
  const before = given;
  await Bun.sleep(50);
  expect(given - before).toBeLessThan(2);
  expect(given).toBeLessThan(200);
});

test("a program that is not installed is missing", async () => {
  const error = await failure(collect(filterThrough(["no-such-program-anywhere"], chunks("x"))));
  expect(isHullError(error, "hostMissing")).toBe(true);
});
