/** Names that are to outlive a power cut. */
import { expect, test } from "bun:test";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { tempDirectory } from "../testing/temp.ts";
import { ContentStore } from "./content-store.ts";

test("settling is shared by those who want it at once, fails with the disk, and works again", async () => {
  await using temp = await tempDirectory();
  const store = await ContentStore.open(join(temp.path, "root"));
  using session = store.session();
  const first = store.settle();
  // The first has not begun yet.
  expect(session.content.settle()).toBe(first);
  await first;
  await rename(join(temp.path, "root"), join(temp.path, "elsewhere"));
  const failed = store.settle();
  expect(failed).not.toBe(first);
  const failure: unknown = await failed.catch((error: unknown) => error);
  expect(String(failure)).toContain("ENOENT");
  await rename(join(temp.path, "elsewhere"), join(temp.path, "root"));
  await session.content.settle();
});
