/** The side-by-side table of `hull compare`, and the same as JSON. Pure: measurements in, text out. */
import type { WallKind, WallLabel } from "../contract/isolation.ts";
import { type InsideView, namesOfCapabilities } from "./probes.ts";

/** What was measured of one wall. */
export interface WallResult {
  readonly wall: WallKind;
  readonly label: WallLabel;
  /** Milliseconds from the create request to the answer of the first exec, one for each run. */
  readonly firstExecMilliseconds: readonly number[];
  /** Bytes of proportional set size, one for each run. */
  readonly memoryBytes: readonly number[];
  readonly inside: InsideView;
}

export interface Comparison {
  readonly image: string;
  readonly runs: number;
  readonly hostKernel: string;
  readonly container: WallResult;
  readonly vm: WallResult;
}

export function renderTable(comparison: Comparison): string {
  const { container, vm, hostKernel } = comparison;
  const walls = [container, vm] as const;
  const times = walls.map((each) => median(each.firstExecMilliseconds));
  const memory = walls.map((each) => median(each.memoryBytes));
  const rows = [
    ["", container.label, vm.label, "ratio"],
    ["time to first exec", ...times.map(formatMilliseconds), formatRatio(times)],
    ["memory on the host", ...memory.map(formatBytes), formatRatio(memory)],
    ["kernel seen inside", ...walls.map((each) => kernelOf(each, hostKernel)), ""],
    ["processes seen inside", ...walls.map((each) => String(each.inside.processes)), ""],
    ["capabilities", ...walls.map((each) => countOf(each.inside.capabilities)), ""],
  ];
  const lines = [alignColumns(rows), "", ...capabilityLines(container, vm), "", notes(comparison)];
  return `${lines.join("\n")}\n`;
}

export function renderJson(comparison: Comparison): string {
  const wall = ({ label, firstExecMilliseconds, memoryBytes, inside }: WallResult) => ({
    label,
    firstExecMilliseconds: { median: median(firstExecMilliseconds), runs: firstExecMilliseconds },
    memoryBytes: { median: median(memoryBytes), runs: memoryBytes },
    kernel: inside.kernel,
    processes: inside.processes,
    capabilities: namesOfCapabilities(inside.capabilities),
  });
  const { image, runs, hostKernel, container, vm } = comparison;
  return `${JSON.stringify({ image, runs, hostKernel, container: wall(container), vm: wall(vm) }, undefined, 2)}\n`;
}

/** The middle value; the mean of the two middle ones when there is an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  const lower = sorted[middle - 1] ?? upper;
  return sorted.length % 2 === 1 ? upper : (lower + upper) / 2;
}

export function formatMilliseconds(value: number): string {
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(2)} s`;
}

export function formatBytes(value: number): string {
  const megabytes = value / 1_000_000;
  return megabytes < 10 ? `${megabytes.toFixed(1)} MB` : `${Math.round(megabytes)} MB`;
}

/** How many times the second value is the first. */
export function formatRatio([base, other]: readonly number[]): string {
  if (base === undefined || other === undefined || base === 0) return "";
  const ratio = other / base;
  return `${ratio < 10 ? ratio.toFixed(1) : Math.round(ratio)}×`;
}

function kernelOf(result: WallResult, hostKernel: string): string {
  return `${result.inside.kernel} (${result.inside.kernel === hostKernel ? "the host's" : "its own"})`;
}

function countOf(mask: bigint): string {
  const count = namesOfCapabilities(mask).length;
  return count === 0 ? "none" : String(count);
}

/** One line for both walls when they agree, which is what they should do. */
function capabilityLines(container: WallResult, vm: WallResult): string[] {
  const listOf = (result: WallResult): string =>
    namesOfCapabilities(result.inside.capabilities).join(" ") || "none";
  const [left, right] = [listOf(container), listOf(vm)];
  if (left === right) return [`capabilities, both walls: ${left}`];
  return [`capabilities, ${container.label}: ${left}`, `capabilities, ${vm.label}: ${right}`];
}

function notes({ runs, vm }: Comparison): string {
  const of = runs === 1 ? "One run of each wall" : `Medians of ${runs} runs of each wall, taken in turns`;
  const lines = [
    `${of}. Time: from the create request to the answer of the first exec.`,
    "Memory: proportional set size of the workload's processes (of QEMU for a vm) and their monitor.",
  ];
  if (vm.label === "vm (tcg)")
    lines.push(
      "vm (tcg): the virtual machine is emulated in software, since this host has no KVM that works.",
      "It is slow, and a compatibility mode: not a security boundary. See hull doctor.",
    );
  return lines.join("\n");
}

function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("   ")
        .trimEnd(),
    )
    .join("\n");
}
