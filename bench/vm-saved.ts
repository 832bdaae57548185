/**
 * What it takes to suspend, resume and fork a virtual machine, through the API of a daemon of its own.
 *
 *   scripts/bun bench/vm-saved.ts [ROUNDS]
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { connect } from "../src/sdk/main.ts";
import { startDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";

startAgainInOwnNamespaces();

const rounds = Number(process.argv[2] ?? 5);
const siblingsAtOnce = 4;
const samples = new Map<string, number[]>();

function note(what: string, value: number): void {
  samples.set(what, [...(samples.get(what) ?? []), value]);
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const begin = performance.now();
  const result = await work();
  note(`${what}, ms`, performance.now() - begin);
  return result;
}

function proportionalSet(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) / 1024;
}

await using daemon = await startDaemon();
using hull = connect({ socket: daemon.socket });
const box = await hull.run({ image: "hull/tiny", isolation: "vm", command: ["sleep", "1000"] });
await box.exec(["true"]);
for (let round = 0; round < rounds; round += 1) {
  await timed("suspend", () => hull.containers.suspend(box.id));
  const place = join(daemon.root, "workloads", box.id, "suspended");
  const bytes = readdirSync(place).reduce((sum, name) => sum + statSync(join(place, name)).size, 0);
  note("suspended state, MiB", bytes / 1024 / 1024);
  await timed("resume", () => hull.containers.resume(box.id));
  await timed("exec after resume", () => box.exec(["true"]));
  const [one] = await timed("fork of one", () => hull.containers.fork(box.id));
  const many = await timed(`fork of ${siblingsAtOnce}`, () =>
    hull.containers.fork(box.id, { Count: siblingsAtOnce }),
  );
  for (const { Id } of many) {
    const { State } = await hull.containers.inspect(Id);
    note("PSS of one of several siblings, MiB", proportionalSet(State.Pid));
  }
  for (const sibling of [...many, ...(one === undefined ? [] : [one])])
    await hull.containers.remove(sibling.Id, { force: true });
}
await box.remove();

for (const [what, values] of samples) {
  const sorted = values.toSorted((left, right) => left - right);
  const median = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  console.log(
    `${what.padEnd(38)} median ${median.toFixed(0).padStart(6)}   least ${sorted[0]?.toFixed(0) ?? ""}`,
  );
}
