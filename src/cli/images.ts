import type { ImageSummary } from "../contract/docker.ts";
import { splitReference } from "../sdk/main.ts";
import { list, text, toggle } from "./parse/options.ts";
import { filtersOf } from "./parse/values.ts";
import { decimalSize, humanDuration, shortId, timestamp } from "./print/human.ts";
import { listText } from "./print/table.ts";
import { defineVerb } from "./verb.ts";

const repository = { field: "Repository", header: "REPOSITORY" };
const tag = { field: "Tag", header: "TAG" };
const digest = { field: "Digest", header: "DIGEST" };
const rest = [
  { field: "ID", header: "IMAGE ID" },
  { field: "CreatedSince", header: "CREATED" },
  { field: "Size", header: "SIZE" },
];
const more = [digest, { field: "CreatedAt", header: "CREATED AT" }];

export default defineVerb({
  usage: "images [OPTIONS] [REPOSITORY[:TAG]]",
  summary: "Lists images.",
  flags: {
    all: toggle("Those without a name that others build on, too", "a"),
    quiet: toggle("Print ids only", "q"),
    digests: toggle("Show digests"),
    "no-trunc": toggle("Print ids whole"),
    filter: list("NAME=VALUE", "Only those that match: reference, dangling, label, before, since", "f"),
    format: text("TEMPLATE", "table, json, or a template such as '{{.Repository}}:{{.Tag}}'"),
  },
  arguments: [0, 1],
  async action(context, { options, args: [pattern] }) {
    const hull = await context.hull();
    const filters = filtersOf([
      ...options.filter,
      ...(pattern === undefined ? [] : [`reference=${pattern}`]),
    ]);
    const found = await hull.images.list({ all: options.all, filters });
    const rows = found.flatMap((image) => rowsOf(image, options["no-trunc"], options.digests));
    const columns = options.digests ? [repository, tag, digest, ...rest] : [repository, tag, ...rest];
    // An image of several names is one image to -q.
    const printed = options.quiet
      ? rows.filter((row, index) => rows.findIndex(({ ID }) => ID === row.ID) === index)
      : rows;
    await context.stdout.write(listText(printed, { columns, more, quiet: "ID" }, options));
    return 0;
  },
});

/** One row for each name of the image. */
function rowsOf(image: ImageSummary, whole: boolean, withDigests: boolean) {
  const created = image.Created * 1000;
  const common = {
    ID: whole ? image.Id : shortId(image.Id),
    // An image without a time of its own was made to be the same whenever it is made.
    CreatedSince: image.Created <= 0 ? "N/A" : `${humanDuration(Date.now() - created)} ago`,
    CreatedAt: image.Created <= 0 ? "N/A" : timestamp(created),
    Size: decimalSize(image.Size),
    Containers: image.Containers === undefined || image.Containers < 0 ? "N/A" : String(image.Containers),
  };
  const digests = (image.RepoDigests ?? []).map(splitReference);
  const none = "<none>";
  const digestOf = (name: string) => digests.find((each) => each.name === name)?.tag ?? none;
  const tags = (image.RepoTags ?? []).filter((each) => each !== `${none}:${none}`).map(splitReference);
  const named = tags.map(({ name, tag: version }) => ({ name, version, digest: digestOf(name) }));
  const untagged = digests
    .filter(({ name }) => !tags.some((each) => each.name === name))
    .map(({ name, tag: value }) => ({ name, version: none, digest: value }));
  const names = [...named, ...(withDigests || named.length === 0 ? untagged : [])];
  if (names.length === 0) names.push({ name: none, version: none, digest: none });
  return names.map(({ name, version, digest: value }) => ({
    Repository: name,
    Tag: version,
    Digest: value,
    ...common,
  }));
}
