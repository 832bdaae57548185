/** POST /containers/{id}/exec, POST /exec/{id}/start, POST /exec/{id}/resize, GET /exec/{id}/json */
import * as v from "valibot";
import type { ExecCreateResponse, ExecInspect } from "../../contract/docker.ts";
import { HullError, messageOf } from "../../contract/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { ExecRequest } from "../../engine/request.ts";
import type { OutputChunk } from "../../wall/wall.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";
import { terminalSize } from "./container-life.ts";
import { streamType } from "./container-streams.ts";
import { consoleSize, sizeOf } from "./create-request.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { refuseOthers } from "./options.ts";
import { errorChunk, pump } from "./pump.ts";

const text = v.nullish(v.string(), "");
const flag = v.nullish(v.boolean(), false);
const texts = v.nullish(v.array(v.string()), []);

const createBody = v.looseObject({
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  Cmd: texts,
  ConsoleSize: consoleSize,
  Detach: flag,
  DetachKeys: text,
  Env: texts,
  Tty: flag,
  User: text,
  WorkingDir: text,
});
const createMembers = Object.keys(createBody.entries);

const startBody = v.looseObject({ ConsoleSize: consoleSize, Detach: flag, Tty: flag });

export function execRoutes(engine: Engine): Route[] {
  /** Keys of the clients that said which keys let go; they go with the exec. */
  const detachKeys = new WeakMap<ExecRequest, Uint8Array>();
  return [
    {
      method: "POST",
      path: "/containers/:id/exec",
      async handle(exchange) {
        const workload = engine.find(exchange.parameter("id"));
        const body = await exchange.json(createBody);
        refuseOthers(body, createMembers, "");
        const keys = parseDetachKeys(body.DetachKeys);
        const request: ExecRequest = {
          command: body.Cmd,
          env: body.Env,
          workingDirectory: body.WorkingDir,
          user: body.User,
          terminal: body.Tty,
          stdin: body.AttachStdin,
          stdout: body.AttachStdout,
          stderr: body.AttachStderr,
          size: sizeOf(body.ConsoleSize),
        };
        if (body.DetachKeys !== "") detachKeys.set(request, keys);
        const id = engine.execs.create(workload, request);
        exchange.sendJson(201, { Id: id } satisfies ExecCreateResponse);
      },
    },
    {
      method: "POST",
      path: "/exec/:id/start",
      async handle(exchange) {
        const { id, request } = engine.execs.get(exchange.parameter("id"));
        const keys = detachKeys.get(request) ?? parseDetachKeys("");
        await start(engine, exchange, id, keys);
      },
    },
    {
      method: "POST",
      path: "/exec/:id/resize",
      async handle(exchange) {
        await engine.execs.resize(exchange.parameter("id"), terminalSize(exchange));
        exchange.sendEmpty(200);
      },
    },
    { method: "GET", path: "/exec/:id/json", handle: (exchange) => inspect(engine, exchange) },
  ];
}

async function start(engine: Engine, exchange: Exchange, id: string, detachKeys: Uint8Array): Promise<void> {
  const body = await exchange.json(startBody);
  const { request } = engine.execs.get(id);
  if (!body.Detach && body.Tty !== request.terminal && body.Tty)
    throw new HullError("invalidParameter", {
      what: "Tty",
      value: String(body.Tty),
      why: "the exec instance was created without a terminal",
    });
  engine.execs.requireStartable(id);
  const size = sizeOf(body.ConsoleSize);
  if (size !== undefined) await engine.execs.resize(id, size);
  if (body.Detach) {
    await engine.execs.start(id, { detach: true });
    exchange.sendEmpty(200);
    return;
  }
  const { terminal } = request;
  const channel = exchange.hijack(streamType(exchange, terminal));
  let attachment: Awaited<ReturnType<Engine["execs"]["start"]>>;
  try {
    attachment = await engine.execs.start(id, { detach: false });
  } catch (error) {
    // The client has its stream already, and looks up the exit code (126, 127…) after its end.
    await channel.write(errorChunk(messageOf(error), terminal));
    channel.end();
    return;
  }
  if (attachment === undefined) {
    channel.end();
    return;
  }
  const { stdin, stdout, stderr } = request;
  const output = untilEnded(attachment.output, engine.execs.ended(id));
  await pump(channel, attachment, { terminal, stdin, stdout, stderr, endsInput: true, detachKeys }, output);
}

/** Clients ask for the exit code as soon as the stream has ended, so it ends no sooner than that is known. */
async function* untilEnded(
  output: AsyncIterable<OutputChunk>,
  ended: Promise<void>,
): AsyncGenerator<OutputChunk> {
  yield* output;
  await ended;
}

function inspect(engine: Engine, exchange: Exchange): void {
  const exec = engine.execs.get(exchange.parameter("id"));
  const { request } = exec;
  const [program = "", ...args] = request.command;
  exchange.sendJson(200, {
    ID: exec.id,
    ContainerID: exec.workload.id,
    Running: exec.state === "running",
    ExitCode: exec.exitCode ?? null,
    Pid: exec.pid,
    OpenStdin: request.stdin,
    OpenStdout: request.stdout,
    OpenStderr: request.stderr,
    CanRemove: exec.state === "exited",
    DetachKeys: "",
    ProcessConfig: {
      tty: request.terminal,
      entrypoint: program,
      arguments: args,
      privileged: false,
      user: request.user,
    },
  } satisfies ExecInspect);
}
