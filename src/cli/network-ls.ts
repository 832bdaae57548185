import type { NetworkResource } from "../contract/docker.ts";
import { ownMember } from "../contract/own-member.ts";
import { list, text, toggle } from "./parse/options.ts";
import { filtersOf } from "./parse/values.ts";
import { shortId } from "./print/human.ts";
import { listText } from "./print/table.ts";
import { defineVerb } from "./verb.ts";

const columns = [
  { field: "ID", header: "NETWORK ID" },
  { field: "Name", header: "NAME" },
  { field: "Driver", header: "DRIVER" },
  { field: "Scope", header: "SCOPE" },
];

export default defineVerb({
  usage: "network ls [OPTIONS]",
  summary: "Lists networks.",
  flags: {
    quiet: toggle("Ids only", "q"),
    "no-trunc": toggle("Print ids whole"),
    filter: list("NAME=VALUE", "Only those that match: name, id, driver, label, type, dangling", "f"),
    format: text("TEMPLATE", "table, json, or a template such as '{{.Name}}'"),
  },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const found = await hull.networks.list({ filters: filtersOf(options.filter) });
    const rows = found
      .toSorted((one, other) => (one.Name < other.Name ? -1 : 1))
      .map((network) => rowOf(network, options["no-trunc"]));
    await context.stdout.write(listText(rows, { columns, more: [], quiet: "ID" }, options));
    return 0;
  },
});

function rowOf(network: NetworkResource, whole: boolean) {
  const labels = network.Labels ?? {};
  return {
    ID: whole ? network.Id : shortId(network.Id),
    Name: network.Name,
    Driver: network.Driver,
    Scope: network.Scope,
    IPv6: String(network.EnableIPv6),
    Internal: String(network.Internal),
    CreatedAt: network.Created,
    Labels: Object.entries(labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
    Label: (name: unknown) => ownMember(labels, String(name)) ?? "",
  };
}
