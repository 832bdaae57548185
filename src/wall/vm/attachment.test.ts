import { expect, test } from "bun:test";
import { AttachmentSet } from "./attachment.ts";

/** Whether a push of so many pieces is held up. */
async function heldUp(pieces: number, size: number): Promise<boolean> {
  const set = new AttachmentSet();
  const attachment = set.add(undefined);
  const chunks = Array.from({ length: pieces }, () => ({
    stream: "stdout" as const,
    data: new Uint8Array(size),
  }));
  const pushed = set.push(chunks).then(() => false);
  const held = await Promise.race([pushed, Bun.sleep(5).then(() => true)]);
  attachment.detach();
  await pushed;
  return held;
}

test("a reader that does not read holds up its process, by bytes and by pieces", async () => {
  expect(await heldUp(10, 1000)).toBe(false);
  expect(await heldUp(10, 100_000)).toBe(true);
  expect(await heldUp(10_000, 1)).toBe(true);
});

test("what was pushed comes out, and the process goes on", async () => {
  const set = new AttachmentSet();
  const { output } = set.add(undefined);
  let size = 0;
  const read = (async () => {
    for await (const { data } of output) size += data.length;
  })();
  for (let round = 0; round < 20; round++)
    await set.push(
      Array.from({ length: 1000 }, () => ({ stream: "stderr" as const, data: new Uint8Array(7) })),
    );
  set.end();
  await read;
  expect(size).toBe(140_000);
});
