/** POST /containers/{id}/attach, GET /containers/{id}/logs */
import { multiplexedStream, rawStream } from "../../contract/docker.ts";
import { HullError } from "../../contract/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Workload } from "../../engine/workload.ts";
import type { Attachment, OutputChunk } from "../../wall/wall.ts";
import type { ByteChannel } from "../channel.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { frameOf } from "./frames.ts";
import { pump } from "./pump.ts";
import { parseOptionalInstant } from "./times.ts";

export function containerStreamRoutes(engine: Engine): Route[] {
  return [
    { method: "POST", path: "/containers/:id/attach", handle: (exchange) => attach(engine, exchange) },
    { method: "GET", path: "/containers/:id/logs", handle: (exchange) => logs(engine, exchange) },
  ];
}

/** The type of a stream; older clients are told that everything is raw. */
export function streamType(exchange: Exchange, terminal: boolean): string {
  return terminal || !exchange.atLeast(1, 42) ? rawStream : multiplexedStream;
}

async function attach(engine: Engine, exchange: Exchange): Promise<void> {
  const workload = engine.find(exchange.parameter("id"));
  const { terminal, stdinOnce } = workload.record.spec.process;
  const detachKeys = parseDetachKeys(exchange.text("detachKeys"));
  const stdin = exchange.flag("stdin");
  const past = exchange.flag("logs");
  const shown = { stdout: exchange.flag("stdout"), stderr: exchange.flag("stderr") };
  const type = streamType(exchange, terminal);
  if (!exchange.flag("stream")) {
    const channel = exchange.hijack(type);
    if (past)
      await sendLog(engine.logs(workload, { ...wholeLog, ...shown }, channel.gone), channel, terminal);
    channel.end();
    return;
  }
  const attachment = await engine.attach(workload, { stdin });
  const channel = exchange.hijack(type);
  const output = past ? withPast(engine, workload, attachment, channel.gone) : attachment.output;
  await pump(channel, attachment, { terminal, stdin, ...shown, endsInput: stdinOnce, detachKeys }, output);
}

const wholeLog = { since: undefined, until: undefined, tail: undefined, timestamps: false, follow: false };

/** All the output so far and to come. While the workload runs, the log alone is that, byte for byte. */
async function* withPast(
  engine: Engine,
  workload: Workload,
  attachment: Attachment,
  gone: AbortSignal,
): AsyncGenerator<OutputChunk> {
  const { live } = workload;
  yield* engine.logs(workload, { ...wholeLog, stdout: true, stderr: true, follow: live }, gone);
  if (!live) yield* attachment.output;
}

async function sendLog(
  log: AsyncIterable<OutputChunk>,
  channel: ByteChannel,
  terminal: boolean,
): Promise<void> {
  for await (const chunk of log) await channel.write(terminal ? chunk.data : frameOf(chunk));
}

async function logs(engine: Engine, exchange: Exchange): Promise<void> {
  const workload = engine.find(exchange.parameter("id"));
  const { terminal } = workload.record.spec.process;
  const stdout = exchange.flag("stdout");
  const stderr = exchange.flag("stderr");
  if (!stdout && !stderr)
    throw new HullError("invalidParameter", {
      what: "logs request",
      value: "",
      why: "choose at least one of stdout and stderr",
    });
  const options = {
    stdout,
    stderr,
    since: parseOptionalInstant("since", exchange.text("since")),
    until: parseOptionalInstant("until", exchange.text("until")),
    tail: tailOf(exchange.text("tail")),
    timestamps: exchange.flag("timestamps"),
    follow: exchange.flag("follow"),
  };
  const channel = exchange.sendStream(streamType(exchange, terminal));
  await sendLog(engine.logs(workload, options, channel.gone), channel, terminal);
  channel.end();
}

/** A count of lines; `all`, nothing, and what is no count mean all. */
function tailOf(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
