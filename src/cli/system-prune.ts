import { pruneImages } from "./image-prune.ts";
import { list, toggle } from "./parse/options.ts";
import { filtersOf } from "./parse/values.ts";
import { decimalSize } from "./print/human.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "system prune [OPTIONS]",
  summary:
    "Removes stopped workloads, unused networks, images without a name, and what builds left for later ones.",
  flags: {
    all: toggle("Also images with a name that no workload uses", "a"),
    volumes: toggle("Also volumes without a name that no workload has"),
    filter: list("NAME=VALUE", "Only what matches: until, label, label!"),
    force: toggle("Accepted for scripts: nothing is asked anyway", "f"),
  },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const filters = filtersOf(options.filter);
    const containers = await hull.containers.prune({ filters });
    const deleted = containers.ContainersDeleted ?? [];
    const networks = await hull.networks.prune({ filters });
    const labels = filtersOf(options.filter.filter((filter) => filter.startsWith("label")));
    const volumes = options.volumes
      ? await hull.volumes.prune({ filters: labels })
      : { VolumesDeleted: [], SpaceReclaimed: 0 };
    const images = await pruneImages(hull, options.all, options.filter);
    // Steps of builds have no labels.
    const until = options.filter.filter((filter) => filter.startsWith("until="));
    const labelled = until.length < options.filter.length;
    const cache = labelled
      ? { CachesDeleted: [], SpaceReclaimed: 0 }
      : await hull.builder.prune({ all: options.all, filters: filtersOf(until) });
    const lines = [
      ...(deleted.length === 0 ? [] : ["Deleted Containers:", ...deleted]),
      ...(networks.length === 0 ? [] : ["Deleted Networks:", ...networks]),
      ...((volumes.VolumesDeleted ?? []).length === 0
        ? []
        : ["Deleted Volumes:", ...(volumes.VolumesDeleted ?? [])]),
      ...images.lines,
      ...((cache.CachesDeleted ?? []).length === 0
        ? []
        : ["Deleted build cache objects:", ...(cache.CachesDeleted ?? [])]),
    ];
    for (const line of lines) await context.stdout.line(line);
    const reclaimed =
      containers.SpaceReclaimed + volumes.SpaceReclaimed + images.reclaimed + cache.SpaceReclaimed;
    await context.stdout.line(`Total reclaimed space: ${decimalSize(reclaimed)}`);
    return 0;
  },
});
