import { describe, expect, test } from "bun:test";
import { DetachScanner, detachKeysOf } from "./detach-keys.ts";

const keys = Uint8Array.of(16, 17);

/** What is passed on when `typed` comes in the given pieces, and whether it detached. */
function scan(sequence: Uint8Array, ...typed: number[][]): { passed: number[]; detached: boolean } {
  const scanner = new DetachScanner(sequence);
  const passed: number[] = [];
  for (const piece of typed) {
    const { data, detach } = scanner.scan(Uint8Array.from(piece));
    passed.push(...data);
    if (detach) return { passed, detached: true };
  }
  return { passed, detached: false };
}

test("keys are letters and ctrl-letters, and Docker's when nothing is said", () => {
  expect(detachKeysOf("ctrl-p,ctrl-q")).toEqual(keys);
  expect(detachKeysOf("")).toEqual(keys);
  expect(detachKeysOf("a,ctrl-@,ctrl-[,ctrl-Z")).toEqual(Uint8Array.of(97, 0, 27, 26));
  for (const bad of ["ctrl-", "ab", "ctrl-1", ",", "é", "\x07"]) expect(detachKeysOf(bad)).toBeUndefined();
});

describe("the scanner", () => {
  test("detaches however the keys are split, and passes on what came before", () => {
    expect(scan(keys, [1, 2, 16, 17, 3])).toEqual({ passed: [1, 2], detached: true });
    expect(scan(keys, [16], [17])).toEqual({ passed: [], detached: true });
  });

  test("passes on a beginning that leads nowhere", () => {
    expect(scan(keys, [16, 5])).toEqual({ passed: [16, 5], detached: false });
    expect(scan(keys, [16], [16], [17])).toEqual({ passed: [16], detached: true });
  });

  test("finds keys that begin within a failed match", () => {
    expect(scan(Uint8Array.of(1, 1, 2), [1, 1, 1, 2])).toEqual({ passed: [1], detached: true });
    expect(scan(Uint8Array.of(1, 2, 1, 3), [1, 2, 1, 2, 1, 3])).toEqual({ passed: [1, 2], detached: true });
  });

  test("without keys passes everything on", () => {
    expect(scan(new Uint8Array(0), [16, 17])).toEqual({ passed: [16, 17], detached: false });
  });
});
