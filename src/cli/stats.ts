import type { ContainerStats } from "../contract/docker.ts";
import type { Hull } from "../sdk/main.ts";
import type { Context } from "./context.ts";
import { text, toggle } from "./parse/options.ts";
import { binarySize, decimalSize, shortId } from "./print/human.ts";
import { listText } from "./print/table.ts";
import { isTerminal } from "./session/terminal.ts";
import { defineVerb } from "./verb.ts";

const columns = [
  { field: "ID", header: "CONTAINER ID" },
  { field: "Name", header: "NAME" },
  { field: "CPUPerc", header: "CPU %" },
  { field: "MemUsage", header: "MEM USAGE / LIMIT" },
  { field: "MemPerc", header: "MEM %" },
  { field: "NetIO", header: "NET I/O" },
  { field: "PIDs", header: "PIDS" },
];

/** Back to the top left, and nothing below what is written next. */
const clearScreen = "\x1b[H\x1b[J";

export default defineVerb({
  usage: "stats [OPTIONS] [CONTAINER...]",
  summary: "Shows what workloads use, as it changes: those named, or all that run.",
  flags: {
    all: toggle("Those that do not run, too", "a"),
    "no-stream": toggle("Show it once"),
    "no-trunc": toggle("Print ids whole"),
    format: text("TEMPLATE", "table, json, or a template such as '{{.Name}} {{.CPUPerc}}'"),
  },
  arguments: [0],
  async action(context, { options, args }) {
    const hull = await context.hull();
    const named = async () =>
      args.length > 0
        ? args
        : (await hull.containers.list({ all: options.all })).map((container) => container.Id);
    const whole = options["no-trunc"];
    if (options["no-stream"]) {
      const rows = await Promise.all((await named()).map((name) => rowOnce(hull, name, whole)));
      await context.stdout.write(listText(rows, { columns, quiet: "ID" }, options));
      return 0;
    }
    return watch(
      context,
      hull,
      args,
      named,
      (rows) => listText(rows, { columns, quiet: "ID" }, options),
      whole,
    );
  },
});

async function watch(
  context: Context,
  hull: Hull,
  args: readonly string[],
  named: () => Promise<readonly string[]>,
  textOf: (rows: readonly StatsRow[]) => string,
  whole: boolean,
): Promise<number> {
  const screen = isTerminal(1) ? clearScreen : "";
  for (;;) {
    // Each figure is taken over about a second by the daemon: that is the clock.
    const names = await named();
    const outcomes = await Promise.allSettled(names.map((name) => rowOnce(hull, name, whole)));
    // Named ones have to be there; of all of them one may have ended meanwhile.
    const rows = outcomes.flatMap((outcome) => {
      if (outcome.status === "fulfilled") return [outcome.value];
      if (args.length > 0) throw outcome.reason;
      return [];
    });
    await context.stdout.write(screen + textOf(rows));
    if (names.length === 0) await Bun.sleep(1000);
  }
}

type StatsRow = Readonly<Record<string, string>>;

async function rowOnce(hull: Hull, name: string, whole: boolean): Promise<StatsRow> {
  for await (const stats of hull.containers.stats(name, { once: true })) return rowOf(stats, whole);
  throw new Error(`no figures came for ${name}`);
}

function rowOf(stats: ContainerStats, whole: boolean): StatsRow {
  const usage = stats.memory_stats.usage ?? 0;
  const limit = stats.memory_stats.limit ?? 0;
  const networks = Object.values(stats.networks ?? {});
  const received = networks.reduce((sum, network) => sum + network.rx_bytes, 0);
  const sent = networks.reduce((sum, network) => sum + network.tx_bytes, 0);
  const id = stats.id ?? "";
  return {
    ID: whole ? id : shortId(id),
    Name: (stats.name ?? "").replace(/^\//, ""),
    Container: id,
    CPUPerc: `${cpuPercent(stats).toFixed(2)}%`,
    MemUsage: `${binarySize(usage)} / ${binarySize(limit)}`,
    MemPerc: `${(limit > 0 ? (usage / limit) * 100 : 0).toFixed(2)}%`,
    NetIO: `${decimalSize(received)} / ${decimalSize(sent)}`,
    BlockIO: "--",
    PIDs: String(stats.pids_stats.current ?? 0),
  };
}

/** 100% is one CPU wholly used. */
function cpuPercent({ cpu_stats: now, precpu_stats: before }: ContainerStats): number {
  const used = now.cpu_usage.total_usage - (before.cpu_usage?.total_usage ?? 0);
  const system = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  return used > 0 && system > 0 ? (used / system) * (now.online_cpus ?? 1) * 100 : 0;
}
