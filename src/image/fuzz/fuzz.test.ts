/** A few thousand of the cases that `scripts/fuzz.ts` runs by the hundred thousand. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { fuzz } from "./run.ts";

setDefaultTimeout(300_000);

test("changed tars, compressed data, manifests, configs and archives are taken or refused, and what is taken can be mounted", async () => {
  const { cases, mounted } = await fuzz(1, 0, 3000);
  for (const name of ["tar", "compressed tar", "manifest", "config", "archive"]) {
    expect(cases[name]?.taken).toBeGreaterThan(0);
    expect(cases[name]?.refused).toBeGreaterThan(0);
  }
  expect(mounted).toBeGreaterThan(100);
});
