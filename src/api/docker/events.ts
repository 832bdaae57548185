/** GET /events */
import type { EventMessage } from "../../contract/docker.ts";
import { nanosecondsOf, now, pause } from "../../engine/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import type { EngineEvent } from "../../engine/events.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";
import { type Filters, parseFilters, passes, passesLabels } from "./filters.ts";
import { parseInstant, parseOptionalInstant } from "./times.ts";

const known = ["container", "daemon", "event", "image", "label", "network", "scope", "type", "volume"];

export function eventRoutes(engine: Engine): Route[] {
  return [{ method: "GET", path: "/events", handle: (exchange) => events(engine, exchange) }];
}

async function events(engine: Engine, exchange: Exchange): Promise<void> {
  const filters = parseFilters(exchange, known);
  const sinceText = exchange.text("since");
  const since = sinceText === "" ? undefined : parseInstant("since", sinceText);
  const until = parseOptionalInstant("until", exchange.text("until"));
  const over = new AbortController();
  const stop = AbortSignal.any([exchange.gone, over.signal]);
  // Nothing happens between the two: what is not past is yet to come.
  const live = engine.events.subscribe(stop);
  const past = since === undefined ? [] : engine.events.past(since);
  const channel = exchange.sendStream("application/json");
  if (until !== undefined) {
    const left = Number(until - nanosecondsOf(now())) / 1e6;
    if (left <= 0) over.abort();
    else void pause(left, stop).then(() => over.abort());
  }
  const send = async (event: EngineEvent): Promise<void> => {
    if (until !== undefined && event.timeNano > until) return;
    if (wanted(event, filters)) await channel.write(Buffer.from(`${messageText(event)}\n`));
  };
  for (const event of past) await send(event);
  for await (const event of live) await send(event);
  channel.end();
}

function wanted(event: EngineEvent, filters: Filters): boolean {
  const { attributes } = event;
  const isContainer = (word: string) =>
    event.type === "container" && (event.id.startsWith(word) || attributes.name === word);
  const isImage = (word: string) =>
    [event.type === "image" ? event.id : attributes.image, attributes.name].includes(word);
  const isNetwork = (word: string) =>
    event.type === "network" && (event.id.startsWith(word) || attributes.name === word);
  return (
    passes(filters, "type", (type) => event.type === type) &&
    passes(filters, "event", (action) => event.action === action || event.action.startsWith(`${action}:`)) &&
    passes(filters, "container", isContainer) &&
    passes(filters, "image", isImage) &&
    passes(filters, "scope", (scope) => scope === "local") &&
    passes(filters, "daemon", () => false) &&
    passes(filters, "network", isNetwork) &&
    passes(filters, "volume", (word) => event.type === "volume" && event.id === word) &&
    passesLabels(filters, "label", attributes)
  );
}

/** JSON text; nanoseconds do not fit a double, so that number is written by hand. */
function messageText(event: EngineEvent): string {
  const message: Omit<EventMessage, "timeNano"> = {
    status: event.action,
    id: event.id,
    ...(event.type === "container" ? { from: event.attributes.image ?? "" } : {}),
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.id, Attributes: event.attributes },
    scope: "local",
    time: Number(event.timeNano / 1_000_000_000n),
  };
  return JSON.stringify(message).replace(/\}$/, `,"timeNano":${event.timeNano}}`);
}
