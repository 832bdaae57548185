import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { filesFlags, filesLimits, filesOperations, filesResults } from "../files/protocol.ts";
import * as protocol from "./protocol.ts";

const guest = `${import.meta.dir}/../../../guest`;
const source: Record<string, unknown> = JSON.parse(readFileSync(`${guest}/protocol.json`, "utf8"));

test("the TypeScript side has exactly the numbers of protocol.json", () => {
  const { comment: _, version, portName, ...groups } = source;
  const { protocolVersion, portName: ownPortName, ...ownGroups } = protocol;
  expect(protocolVersion).toBe(Number(version));
  expect(ownPortName).toBe(String(portName));
  expect({ ...ownGroups, filesOperations, filesFlags, filesResults } as Record<string, unknown>).toEqual(
    groups,
  );
  expect(filesLimits.record).toBe(ownGroups.limits.filesRecord);
});

test("the C header has exactly the numbers of protocol.json", () => {
  const prefixes: Record<string, string> = {
    frame: "FRAME",
    limits: "LIMIT",
    frames: "FRAME",
    verbs: "VERB",
    phases: "PHASE",
    channels: "CHANNEL",
    results: "RESULT",
    filesOperations: "FILES",
    filesFlags: "FILES",
    filesResults: "FILES",
  };
  const expected: Record<string, number> = { PROTOCOL_VERSION: Number(source.version) };
  for (const [group, prefix] of Object.entries(prefixes))
    for (const [name, value] of Object.entries(source[group] ?? {}))
      expected[`${prefix}_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`] = value;
  const header = readFileSync(`${guest}/agent/protocol.h`, "utf8");
  const found: Record<string, number> = {};
  for (const [, name, value] of header.matchAll(/\b([A-Z_]+)(?: =)? (\d+)\b/g))
    if (name !== undefined) found[name] = Number(value);
  expect(found).toEqual(expected);
  expect(header).toContain(`#define PORT_NAME "${String(source.portName)}"`);
});

test("the preamble is longer than the largest frame", () => {
  const { frame, limits } = protocol;
  expect(limits.preambleBytes).toBeGreaterThanOrEqual(frame.headerBytes + frame.maximumPayload + 1);
});
