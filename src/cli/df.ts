import { toggle } from "./parse/options.ts";
import { decimalSize } from "./print/human.ts";
import { tableText } from "./print/table.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "system df",
  summary: "Shows what takes disk space under the root directory.",
  flags: { verbose: toggle("One line for each", "v") },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const usage = await hull.system.diskUsage();
    const images = usage.Images ?? [];
    const containers = usage.Containers ?? [];
    const used = new Set(containers.map((container) => container.ImageID));
    const written = containers.reduce((sum, container) => sum + (container.SizeRw ?? 0), 0);
    const steps = usage.BuildCache ?? [];
    // What an image has, too, is counted with the images.
    const kept = steps.reduce((sum, step) => sum + (step.Shared ? 0 : step.Size), 0);
    const active = containers.filter((container) => container.State === "running").length;
    await context.stdout.write(
      tableText([
        ["TYPE", "TOTAL", "ACTIVE", "SIZE"],
        [
          "Images",
          String(images.length),
          String(images.filter((image) => used.has(image.Id)).length),
          decimalSize(usage.LayersSize),
        ],
        ["Containers", String(containers.length), String(active), decimalSize(written)],
        ["Build cache", String(steps.length), "0", decimalSize(kept)],
      ]),
    );
    if (!options.verbose) return 0;
    const imageRows = images.map((image) => [
      (image.RepoTags ?? []).join(", ") || "<none>",
      decimalSize(image.Size),
    ]);
    const containerRows = containers.map((container) => [
      container.Names.map((name) => name.slice(1)).join(", "),
      decimalSize(container.SizeRw ?? 0),
    ]);
    await context.stdout.write(`\n${tableText([["IMAGE", "SIZE"], ...imageRows])}`);
    await context.stdout.write(`\n${tableText([["CONTAINER", "SIZE"], ...containerRows])}`);
    return 0;
  },
});
