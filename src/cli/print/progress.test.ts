import { expect, test } from "bun:test";
import type { ProgressLine } from "../../contract/docker.ts";
import { ProgressPrinter } from "./progress.ts";

async function shown(
  lines: readonly ProgressLine[],
  size?: { columns: number; rows: number },
): Promise<string> {
  let text = "";
  const write = async (data: Uint8Array | string): Promise<void> => {
    text += String(data);
  };
  const output = { descriptor: 1, write, line: (line: string) => write(`${line}\n`) } as const;
  const printer = new ProgressPrinter(output, () => size);
  for (const line of lines) await printer.show(line);
  return text;
}

const moving = (current: number, total = 1000): ProgressLine => ({
  id: "a",
  status: "Downloading",
  progressDetail: { current, total },
});

test("without a terminal there is a line for each change of state", async () => {
  const lines: ProgressLine[] = [
    { status: "Pulling from x", id: "1" },
    { id: "a", status: "Waiting" },
    moving(1),
    moving(2),
    { id: "a", status: "Waiting" },
    { id: "a", status: "Pull complete", progressDetail: {} },
    { status: "Digest: sha256:1" },
    { status: "", progressDetail: {} },
    { stream: "Loaded image: x\n" },
  ];
  expect(await shown(lines)).toBe(
    "1: Pulling from x\na: Waiting\na: Pull complete\nDigest: sha256:1\nLoaded image: x\n",
  );
});

test("on a terminal each layer has a line that moves in its place", async () => {
  const text = await shown([{ id: "a", status: "Waiting" }, { id: "b", status: "Waiting" }, moving(500)], {
    columns: 80,
    rows: 24,
  });
  expect(text).toBe(
    `a: Waiting\x1b[K\nb: Waiting\x1b[K\n\x1b[2A\ra: Downloading [${"=".repeat(25)}>${" ".repeat(24)}] 500B/1kB\x1b[K\x1b[2B\r`,
  );
});

test("no line is longer than the terminal is wide, and none that scrolled away is touched", async () => {
  for (const columns of [20, 30, 45, 60, 200]) {
    const text = await shown([moving(123_456_789, 987_654_321)], { columns, rows: 24 });
    expect(text.replace("\x1b[K\n", "").length).toBeLessThan(columns);
  }
  const many = Array.from(
    { length: 10 },
    (_, index): ProgressLine => ({ id: String(index), status: "Waiting" }),
  );
  const quiet = await shown([...many, { id: "0", status: "Pull complete" }], { columns: 80, rows: 5 });
  expect(quiet).not.toContain("complete");
  expect(await shown([...many, { id: "7", status: "Pull complete" }], { columns: 80, rows: 5 })).toContain(
    "complete",
  );
});

test("a line about the whole ends the lines above it", async () => {
  const text = await shown([moving(1), { status: "Status: done" }, moving(2)], { columns: 80, rows: 24 });
  expect(text).not.toContain("A\r");
});
