import type { ContainerSummary, PortSummary } from "../contract/docker.ts";
import { ownMember } from "../contract/own-member.ts";
import { list, text, toggle } from "./parse/options.ts";
import { filtersOf, integerOf } from "./parse/values.ts";
import { decimalSize, ellipsis, humanDuration, shortId, timestamp } from "./print/human.ts";
import { type ListFormat, listText } from "./print/table.ts";
import type { Scope } from "./print/template.ts";
import { defineVerb } from "./verb.ts";

const columns = [
  { field: "ID", header: "CONTAINER ID" },
  { field: "Image", header: "IMAGE" },
  { field: "Command", header: "COMMAND" },
  { field: "RunningFor", header: "CREATED" },
  { field: "Status", header: "STATUS" },
  { field: "Wall", header: "WALL" },
  { field: "Ports", header: "PORTS" },
  { field: "Names", header: "NAMES" },
];
const sizeColumn = { field: "Size", header: "SIZE" };
const more = [sizeColumn, { field: "CreatedAt", header: "CREATED AT" }];

export default defineVerb({
  usage: "ps [OPTIONS]",
  summary: "Lists workloads: those that run, or all.",
  flags: {
    all: toggle("Those that do not run, too", "a"),
    quiet: toggle("Print ids only", "q"),
    last: text("NUMBER", "The newest so many, running or not", "n"),
    latest: toggle("The newest one, running or not", "l"),
    size: toggle("Show how much each has written", "s"),
    "no-trunc": toggle("Print ids and commands whole"),
    filter: list(
      "NAME=VALUE",
      "Only those that match: status, name, id, label, ancestor, exited, isolation…",
      "f",
    ),
    format: text("TEMPLATE", "table, json, or a template such as '{{.ID}} {{.Names}}'"),
  },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const last = options.last === undefined ? undefined : integerOf("--last", options.last);
    const limit = options.latest ? 1 : last !== undefined && last > 0 ? last : undefined;
    const found = await hull.containers.list({
      all: options.all || limit !== undefined,
      limit,
      size: options.size || /\.Size\b/.test(options.format ?? ""),
      filters: filtersOf(options.filter),
    });
    const now = Date.now();
    const rows = found.map((container) => rowOf(container, options["no-trunc"], now));
    const format: ListFormat = {
      columns: options.size ? [...columns, sizeColumn] : columns,
      more,
      quiet: "ID",
    };
    await context.stdout.write(listText(rows, format, options));
    return 0;
  },
});

function rowOf(container: ContainerSummary, whole: boolean, now: number): Scope {
  const labels: Readonly<Record<string, string>> = container.Labels ?? {};
  const row = {
    ID: whole ? container.Id : shortId(container.Id),
    Image: imageOf(container.Image, whole),
    Command: `"${whole ? container.Command : ellipsis(container.Command, 20)}"`,
    CreatedAt: timestamp(container.Created * 1000),
    RunningFor: `${humanDuration(now - container.Created * 1000)} ago`,
    Ports: (container.Ports ?? []).map(portText).join(", "),
    State: container.State,
    Status: container.Status,
    // Missing when a daemon that is not Hull's answers.
    Wall: container.Hull?.Wall ?? "",
    Size: sizeText(container),
    Names: container.Names.map((name) => name.replace(/^\//, "")).join(","),
    Labels: Object.entries(labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
    Mounts: (container.Mounts ?? []).map((mount) => mount.Name ?? mount.Source).join(","),
    Networks: Object.keys(container.NetworkSettings?.Networks ?? {}).join(","),
  };
  // Methods of Docker's templates; JSON leaves them out.
  return { ...row, Label: (name: unknown) => ownMember(labels, String(name)) ?? "" };
}

function imageOf(image: string, whole: boolean): string {
  return whole || !image.startsWith("sha256:") ? image : shortId(image);
}

function sizeText(container: ContainerSummary): string {
  const written = decimalSize(container.SizeRw ?? 0);
  return container.SizeRootFs === undefined
    ? written
    : `${written} (virtual ${decimalSize(container.SizeRootFs)})`;
}

function portText(port: PortSummary): string {
  const inside = `${port.PrivatePort}/${port.Type}`;
  if (port.PublicPort === undefined) return inside;
  const address = port.IP ?? "";
  return `${address.includes(":") ? `[${address}]` : address}:${port.PublicPort}->${inside}`;
}
