/** The verbs that change a container: start, stop, kill, restart, pause, rename, resize, wait, delete… */
import * as v from "valibot";
import type { ContainerWaitResponse, WaitCondition } from "../../contract/docker.ts";
import { HullError } from "../../contract/errors.ts";
import type { Engine, StopOptions } from "../../engine/engine.ts";
import { parseRestartPolicy, type RestartPolicy } from "../../engine/restart.ts";
import { parseSignal, SIGKILL } from "../../engine/signals.ts";
import type { Workload } from "../../engine/workload.ts";
import type { TerminalSize } from "../../wall/wall.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";
import { isEmpty } from "./options.ts";

const updateBody = v.looseObject({
  RestartPolicy: v.nullish(
    v.object({ Name: v.nullish(v.string(), ""), MaximumRetryCount: v.nullish(v.number(), 0) }),
  ),
});

function restartPolicyOf({ RestartPolicy, ...others }: v.InferOutput<typeof updateBody>): RestartPolicy {
  const limit = Object.entries(others).find(([, value]) => !isEmpty(value));
  if (limit !== undefined || (RestartPolicy?.Name ?? "") === "")
    throw new HullError("unsupported", {
      what: `an update of ${limit?.[0] ?? "nothing"}`,
      where: "",
      why: "limits are set when a container is created; what can be changed is RestartPolicy, and ports, reach and wall by `hull update`",
    });
  return parseRestartPolicy(RestartPolicy?.Name ?? "", RestartPolicy?.MaximumRetryCount ?? 0);
}

export function containerLifeRoutes(engine: Engine): Route[] {
  /** A verb on one container that answers with nothing. */
  const verb = (
    name: string,
    act: (workload: Workload, exchange: Exchange) => Promise<void>,
    status = 204,
  ): Route => ({
    method: "POST",
    path: `/containers/:id/${name}`,
    async handle(exchange) {
      await act(engine.find(exchange.parameter("id")), exchange);
      exchange.sendEmpty(status);
    },
  });
  return [
    verb("start", (workload) => engine.start(workload)),
    verb("stop", (workload, exchange) => engine.stop(workload, stopOptions(exchange))),
    verb("restart", (workload, exchange) => engine.restart(workload, stopOptions(exchange))),
    verb("kill", (workload, exchange) => engine.kill(workload, signalOf(exchange) ?? SIGKILL)),
    verb("pause", (workload) => engine.pause(workload)),
    verb("unpause", (workload) => engine.unpause(workload)),
    verb("rename", (workload, exchange) => engine.rename(workload, exchange.text("name"))),
    verb("resize", (workload, exchange) => engine.resize(workload, terminalSize(exchange)), 200),
    {
      method: "POST",
      path: "/containers/:id/wait",
      handle: (exchange) => wait(engine, exchange),
    },
    {
      method: "POST",
      path: "/containers/:id/update",
      async handle(exchange) {
        const workload = engine.find(exchange.parameter("id"));
        await engine.changeRestart(workload, restartPolicyOf(await exchange.json(updateBody)));
        exchange.sendJson(200, { Warnings: null });
      },
    },
    {
      method: "DELETE",
      path: "/containers/:id",
      async handle(exchange) {
        if (exchange.flag("link"))
          throw new HullError("unsupported", {
            what: "link",
            where: " in a removal",
            why: "links go with the containers that have them",
          });
        const workload = engine.find(exchange.parameter("id"));
        await engine.remove(workload, { force: exchange.flag("force"), volumes: exchange.flag("v") });
        exchange.sendEmpty(204);
      },
    },
  ];
}

function stopOptions(exchange: Exchange): StopOptions {
  return { timeout: exchange.integer("t"), signal: signalOf(exchange) };
}

function signalOf(exchange: Exchange): number | undefined {
  const text = exchange.text("signal");
  return text === "" ? undefined : parseSignal(text);
}

export function terminalSize(exchange: Exchange): TerminalSize {
  return { rows: dimension(exchange, "h"), columns: dimension(exchange, "w") };
}

function dimension(exchange: Exchange, name: string): number {
  const value = exchange.integer(name) ?? 0;
  if (value < 0 || value > 65_535)
    throw new HullError("invalidParameter", { what: name, value, why: "a terminal has 0 to 65535 of them" });
  return value;
}

async function wait(engine: Engine, exchange: Exchange): Promise<void> {
  const workload = engine.find(exchange.parameter("id"));
  const condition = conditionOf(exchange.text("condition"));
  const outcome = engine.wait(workload, condition, exchange.gone);
  // Clients start the container only once they have seen that the wait is on: the head goes out at once.
  const channel = exchange.sendStream("application/json");
  const known = await outcome;
  if (known === undefined) return;
  const body: ContainerWaitResponse =
    known.error === undefined
      ? { StatusCode: known.code }
      : { StatusCode: known.code, Error: { Message: known.error } };
  await channel.write(Buffer.from(`${JSON.stringify(body)}\n`));
  channel.end();
}

function conditionOf(text: string): WaitCondition {
  if (text === "" || text === "not-running") return "not-running";
  if (text === "next-exit" || text === "removed") return text;
  throw new HullError("invalidParameter", {
    what: "condition",
    value: text,
    why: "use not-running, next-exit or removed",
  });
}
