import type { ImageSummary, SystemDiskUsage, VolumeWithUsage } from "../contract/docker.ts";
import { splitReference } from "../sdk/main.ts";
import { toggle } from "./parse/options.ts";
import { decimalSize, humanDuration, shortId } from "./print/human.ts";
import { tableText } from "./print/table.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "system df",
  summary: "Shows what takes disk space under the root directory, and how much of it could be freed.",
  flags: { verbose: toggle("One line for each", "v") },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const usage = await hull.system.diskUsage();
    const write = (rows: readonly (readonly string[])[]) =>
      context.stdout.write(tableText(rows.map((row) => [...row])));
    if (!options.verbose) {
      await write(summaryOf(usage));
      return 0;
    }
    await context.stdout.write("Images space usage:\n\n");
    await write(imageRows(usage.Images ?? []));
    await context.stdout.write("\nContainers space usage:\n\n");
    await write(containerRows(usage));
    await context.stdout.write("\nLocal Volumes space usage:\n\n");
    await write([
      ["VOLUME NAME", "LINKS", "SIZE"],
      ...(usage.Volumes ?? []).map(({ Name, UsageData }) => [
        ...[Name, String(UsageData.RefCount), decimalSize(UsageData.Size)],
      ]),
    ]);
    return 0;
  },
});

function summaryOf(usage: SystemDiskUsage): string[][] {
  const images = usage.Images ?? [];
  const containers = usage.Containers ?? [];
  const volumes = usage.Volumes ?? [];
  const linked = volumes.filter(({ UsageData }) => UsageData.RefCount > 0);
  const filled = bytesOf(volumes);
  const steps = usage.BuildCache ?? [];
  const used = new Set(containers.map((container) => container.ImageID));
  const active = images.filter((image) => used.has(image.Id));
  // What an image shares stays as long as the other one does, so only what it has alone is in use for sure.
  const inUse = active.reduce((sum, image) => sum + uniqueOf(image), 0);
  const running = containers.filter((container) => container.State === "running");
  const written = sizeOf(containers);
  // What an image has, too, is counted with the images.
  const kept = steps.reduce((sum, step) => sum + (step.Shared ? 0 : step.Size), 0);
  return [
    ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"],
    ["Images", ...counts(images, active), ...sizes(usage.LayersSize, usage.LayersSize - inUse)],
    ["Containers", ...counts(containers, running), ...sizes(written, written - sizeOf(running))],
    ["Local Volumes", ...counts(volumes, linked), ...sizes(filled, filled - bytesOf(linked))],
    ["Build Cache", ...counts(steps, []), ...sizes(kept, kept)],
  ];
}

function bytesOf(volumes: readonly VolumeWithUsage[]): number {
  return volumes.reduce((sum, { UsageData }) => sum + UsageData.Size, 0);
}

function counts(all: readonly unknown[], active: readonly unknown[]): string[] {
  return [String(all.length), String(active.length)];
}

function sizes(bytes: number, reclaimable: number): string[] {
  const share = bytes === 0 ? "" : ` (${Math.floor((100 * reclaimable) / bytes)}%)`;
  return [decimalSize(bytes), `${decimalSize(reclaimable)}${share}`];
}

function sizeOf(containers: readonly { readonly SizeRw?: number | undefined }[]): number {
  return containers.reduce((sum, container) => sum + (container.SizeRw ?? 0), 0);
}

function uniqueOf({ Size, SharedSize }: ImageSummary): number {
  return Size - Math.max(0, SharedSize);
}

function imageRows(images: readonly ImageSummary[]): string[][] {
  const rows = images.flatMap((image) => {
    const names = (image.RepoTags ?? []).map(splitReference);
    const shown = names.length === 0 ? [{ name: "<none>", tag: "<none>" }] : names;
    return shown.map(({ name, tag }) => [
      ...[name, tag, shortId(image.Id), ageOf(image.Created), decimalSize(image.Size)],
      ...[decimalSize(Math.max(0, image.SharedSize)), decimalSize(uniqueOf(image)), String(image.Containers)],
    ]);
  });
  const columns = [
    ...["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE"],
    "CONTAINERS",
  ];
  return [columns, ...rows];
}

function containerRows(usage: SystemDiskUsage): string[][] {
  const rows = (usage.Containers ?? []).map((container) => [
    shortId(container.Id),
    container.Image,
    decimalSize(container.SizeRw ?? 0),
    container.Status,
    container.Names.map((name) => name.slice(1)).join(", "),
  ]);
  return [["CONTAINER ID", "IMAGE", "SIZE", "STATUS", "NAMES"], ...rows];
}

function ageOf(created: number): string {
  return created <= 0 ? "N/A" : `${humanDuration(Date.now() - created * 1000)} ago`;
}
