/** GET /containers/{id}/stats, GET /containers/{id}/top */

import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import type { ContainerStats, ContainerTop, CpuStats, NetworkStats } from "../../contract/docker.ts";
import { HullError } from "../../contract/errors.ts";
import { now, pause, rfc3339 } from "../../engine/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Workload } from "../../engine/workload.ts";
import type { Traffic } from "../../host/network/links.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";

const interval = 1000;

export function containerStatsRoutes(engine: Engine): Route[] {
  return [
    { method: "GET", path: "/containers/:id/stats", handle: (exchange) => stats(engine, exchange) },
    { method: "GET", path: "/containers/:id/top", handle: (exchange) => top(engine, exchange) },
  ];
}

/** One sample and when it was taken. */
interface Sample {
  readonly at: number | undefined;
  readonly cpu: CpuStats;
}

const noCpu: CpuStats = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};

async function stats(engine: Engine, exchange: Exchange): Promise<void> {
  const workload = engine.find(exchange.parameter("id"));
  const streams = exchange.flag("stream", true);
  let previous: Sample = { at: undefined, cpu: noCpu };
  if (!streams && !exchange.flag("one-shot")) {
    // Two samples make a rate: clients that ask once still want a percentage.
    previous = (await sample(engine, workload, previous)).sample;
    await pause(interval, exchange.gone);
  }
  if (!streams) {
    exchange.sendJson(200, (await sample(engine, workload, previous)).line);
    return;
  }
  const channel = exchange.sendStream("application/json");
  const over = AbortSignal.any([channel.gone, ended(workload)]);
  while (!channel.gone.aborted) {
    const taken = await sample(engine, workload, previous);
    previous = taken.sample;
    await channel.write(Buffer.from(`${JSON.stringify(taken.line)}\n`));
    if (!workload.live && workload.state !== "restarting") break;
    await pause(interval, over);
  }
  channel.end();
}

/** One for each life of a workload: whoever asks for figures again and again leaves nothing behind with it. */
const endings = new WeakMap<Promise<void>, AbortSignal>();

function ended({ ended: end }: Workload): AbortSignal {
  const known = endings.get(end);
  if (known !== undefined) return known;
  const control = new AbortController();
  void end.then(() => control.abort());
  endings.set(end, control.signal);
  return control.signal;
}

async function sample(
  engine: Engine,
  workload: Workload,
  previous: Sample,
): Promise<{ sample: Sample; line: ContainerStats }> {
  const usage = await engine.stats(workload);
  const at = now();
  const cpu: CpuStats =
    usage === undefined
      ? noCpu
      : {
          cpu_usage: {
            total_usage: usage.cpuNanoseconds,
            usage_in_kernelmode: 0,
            usage_in_usermode: usage.cpuNanoseconds,
          },
          system_cpu_usage: hostCpuNanoseconds(),
          online_cpus: cpus().length,
          throttling_data: noCpu.throttling_data,
        };
  const line: ContainerStats = {
    id: workload.id,
    name: `/${workload.record.name}`,
    read: rfc3339(usage === undefined ? undefined : at),
    preread: rfc3339(previous.at),
    pids_stats: usage === undefined ? {} : { current: usage.pids },
    num_procs: 0,
    cpu_stats: cpu,
    precpu_stats: previous.cpu,
    memory_stats:
      usage === undefined
        ? {}
        : {
            usage: usage.memoryBytes,
            limit: usage.memoryLimitBytes === 0 ? hostMemoryBytes() : usage.memoryLimitBytes,
            // Hull's own: what the host spends, where shared pages count in part (proportional set size).
            stats: usage.proportionalBytes === undefined ? {} : { pss: usage.proportionalBytes },
          },
    blkio_stats: {},
    networks: Object.fromEntries(
      [...engine.networks.traffic(workload)].map(([name, traffic]) => [name, trafficOf(traffic)]),
    ),
  };
  return { sample: { at, cpu }, line };
}

function trafficOf(traffic: Traffic): NetworkStats {
  return {
    rx_bytes: traffic.receivedBytes,
    rx_packets: traffic.receivedPackets,
    rx_errors: traffic.receiveErrors,
    rx_dropped: traffic.receiveDropped,
    tx_bytes: traffic.sentBytes,
    tx_packets: traffic.sentPackets,
    tx_errors: traffic.sendErrors,
    tx_dropped: traffic.sendDropped,
  };
}

/** Time that all CPUs of the host have spent in any state (proc(5), /proc/stat; 100 ticks a second). */
function hostCpuNanoseconds(): number {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1);
  const ticks = line.split(/\s+/).slice(1, 9).map(Number);
  return ticks.reduce((sum, value) => sum + value, 0) * 10_000_000;
}

export function hostMemoryBytes(): number {
  const kilobytes = /^MemTotal:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  return Number(kilobytes ?? "0") * 1024;
}

async function top(engine: Engine, exchange: Exchange): Promise<void> {
  const workload = engine.find(exchange.parameter("id"));
  const words = exchange.text("ps_args");
  // What API clients send when nobody has chosen.
  if (words !== "" && words !== "-ef")
    throw new HullError("unsupported", {
      what: `ps_args ${words}`,
      where: "",
      why: "no ps runs: the columns are PID, PPID, USER and COMMAND; for others exec the image's own ps",
    });
  const rows = await engine.processes(workload);
  exchange.sendJson(200, {
    Titles: ["PID", "PPID", "USER", "COMMAND"],
    Processes: rows.map((row) => [String(row.pid), String(row.parentPid), row.user, row.command]),
  } satisfies ContainerTop);
}
