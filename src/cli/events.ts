import type { EventMessage } from "../contract/docker.ts";
import { list, text } from "./parse/options.ts";
import { timeOf } from "./parse/time.ts";
import { filtersOf } from "./parse/values.ts";
import { unescapeBlanks } from "./print/table.ts";
import { renderTemplate } from "./print/template.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "events [OPTIONS]",
  summary: "Shows what happens to workloads and images, as it happens.",
  flags: {
    since: text("TIME", "Begin with what happened since then: 10m, 2026-01-31T12:00:00Z, seconds since 1970"),
    until: text("TIME", "End then"),
    filter: list("NAME=VALUE", "Only those that match: type, event, container, image, label", "f"),
    format: text("TEMPLATE", "json, or a template such as '{{.Type}} {{.Action}}'"),
  },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const events = hull.system.events({
      since: options.since === undefined ? undefined : timeOf("--since", options.since),
      until: options.until === undefined ? undefined : timeOf("--until", options.until),
      filters: filtersOf(options.filter),
    });
    for await (const event of events) await context.stdout.line(textOf(event, options.format));
    return 0;
  },
});

function textOf(event: EventMessage, format: string | undefined): string {
  if (format === "json") return JSON.stringify(event);
  if (format !== undefined && format !== "") return renderTemplate(unescapeBlanks(format), event);
  const attributes = Object.entries(event.Actor.Attributes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");
  const details = attributes === "" ? "" : ` (${attributes})`;
  return `${timeText(event)} ${event.Type} ${event.Action} ${event.Actor.ID}${details}`;
}

/** With nanoseconds, which a Date does not hold. The number itself is exact to about 200 of them. */
function timeText(event: EventMessage): string {
  const nanoseconds = String(Math.max(0, event.timeNano - event.time * 1e9))
    .slice(0, 9)
    .padStart(9, "0");
  return new Date(event.time * 1000).toISOString().replace(/\.\d+Z$/, `.${nanoseconds}Z`);
}
