import { afterAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readNetworkSetting, writeNetworkSetting } from "../../host/network/sysctl.ts";
import { NetworkRecords } from "../records/records.ts";
import { Forwarding } from "./forwarding.ts";

const setting = "ipv4/ip_forward";
const directory = mkdtempSync(join(tmpdir(), "forwarding-"));
const records = new NetworkRecords(join(directory, "network.db"), () => {});
const forwarding = new Forwarding(records);

beforeEach(() => {
  forwarding.turnOff(false);
  writeNetworkSetting(setting, "0");
});
afterAll(() => {
  writeNetworkSetting(setting, "0");
  records[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

test("forwarding is put back as it was, by the next daemon too", () => {
  forwarding.turnOn(4);
  forwarding.turnOn(4);
  expect([readNetworkSetting(setting), forwarding.ours]).toEqual(["1", [4]]);
  new Forwarding(records).turnOff(false);
  expect([readNetworkSetting(setting), forwarding.ours]).toEqual(["0", []]);
});

test("forwarding that somebody else turned on stays", () => {
  writeNetworkSetting(setting, "1");
  forwarding.turnOn(4);
  expect(forwarding.ours).toEqual([]);
  forwarding.turnOff(false);
  expect(readNetworkSetting(setting)).toBe("1");
});

test("what an earlier life of the host was like says nothing about this one", () => {
  writeNetworkSetting(setting, "1");
  records.putFact("forwarding4", "00000000-0000-0000-0000-000000000000 4026531840");
  expect(forwarding.ours).toEqual([]);
  forwarding.turnOff(false);
  expect([readNetworkSetting(setting), records.fact("forwarding4")]).toEqual(["1", undefined]);
});

test("forwarding stays on while another daemon's networks need it, and goes off later", () => {
  forwarding.turnOn(4);
  forwarding.turnOff(true);
  expect(readNetworkSetting(setting)).toBe("1");
  forwarding.turnOff(false);
  expect(readNetworkSetting(setting)).toBe("0");
});
