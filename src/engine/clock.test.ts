import { expect, test } from "bun:test";
import { pause } from "./clock.ts";

test("a pause of more than 25 days does not end at once", async () => {
  const cut = new AbortController();
  let over = false;
  const pausing = pause(2 ** 32, cut.signal).then(() => {
    over = true;
  });
  await Bun.sleep(20);
  expect(over).toBe(false);
  cut.abort();
  await pausing;
  await pause(2 ** 32, cut.signal);
});
