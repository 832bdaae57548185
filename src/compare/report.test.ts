import { describe, expect, test } from "bun:test";
import {
  type Comparison,
  formatBytes,
  formatMilliseconds,
  formatRatio,
  median,
  renderJson,
  renderTable,
} from "./report.ts";

const comparison: Comparison = {
  image: "hull/tiny",
  runs: 3,
  hostKernel: "6.18.5",
  container: {
    wall: "container",
    label: "container",
    firstExecMilliseconds: [90, 70, 80],
    memoryBytes: [3_000_000, 3_100_000, 3_200_000],
    inside: { kernel: "6.18.5", processes: 2, capabilities: 0b11n },
  },
  vm: {
    wall: "vm",
    label: "vm (tcg)",
    firstExecMilliseconds: [4000, 4400, 4200],
    memoryBytes: [120_000_000, 125_000_000, 121_000_000],
    inside: { kernel: "6.1.0-40-amd64", processes: 61, capabilities: 0b11n },
  },
};

describe("the report of compare", () => {
  test("shows both walls side by side with a ratio", () => {
    expect(renderTable(comparison).split("\n\n")[0]?.split("\n")).toEqual([
      "                        container             vm (tcg)                   ratio",
      "time to first exec      80 ms                 4.20 s                     53×",
      "memory on the host      3.1 MB                121 MB                     39×",
      "kernel seen inside      6.18.5 (the host's)   6.1.0-40-amd64 (its own)",
      "processes seen inside   2                     61",
      "capabilities            2                     2",
    ]);
  });

  test("names the capabilities once when the walls agree, and of each wall when they do not", () => {
    expect(renderTable(comparison)).toContain("capabilities, both walls: chown dac_override\n");
    const other = { ...comparison.vm, inside: { ...comparison.vm.inside, capabilities: 0n } };
    const table = renderTable({ ...comparison, vm: other });
    expect(table).toContain("capabilities, container: chown dac_override\ncapabilities, vm (tcg): none\n");
  });

  test("says that an emulated vm is not a security boundary, and only then", () => {
    expect(renderTable(comparison)).toContain("not a security boundary");
    const table = renderTable({ ...comparison, vm: { ...comparison.vm, label: "vm" } });
    expect(table).not.toContain("security boundary");
  });

  test("gives every run as JSON", () => {
    expect(JSON.parse(renderJson(comparison))).toMatchObject({
      image: "hull/tiny",
      hostKernel: "6.18.5",
      container: {
        firstExecMilliseconds: { median: 80, runs: [90, 70, 80] },
        capabilities: ["chown", "dac_override"],
      },
      vm: {
        label: "vm (tcg)",
        memoryBytes: { median: 121_000_000 },
        kernel: "6.1.0-40-amd64",
        processes: 61,
      },
    });
  });
});

describe("figures", () => {
  test("the median of an even number of values lies between the middle two", () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([5])).toBe(5);
  });

  test("are short and have units", () => {
    expect([85.4, 999, 1000, 12_345].map(formatMilliseconds)).toEqual([
      "85 ms",
      "999 ms",
      "1.00 s",
      "12.35 s",
    ]);
    expect([900_000, 3_140_000, 125_400_000].map(formatBytes)).toEqual(["0.9 MB", "3.1 MB", "125 MB"]);
    expect(
      [
        [2, 3],
        [2, 100],
        [0, 1],
      ].map(formatRatio),
    ).toEqual(["1.5×", "50×", ""]);
  });
});
