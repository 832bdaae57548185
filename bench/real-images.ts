/**
 * Real programs from images that other tools made and pushed, pulled by Hull and run behind both walls; then images
 * that `hull build` made on these, pushed by Hull, pulled and run by podman and dockerd under the same digest.
 *
 *   scripts/bun bench/real-images.ts [--walls container,vm] [--images nginx,redis-server,…]
 *
 * Prints a line per trial, and ends with 1 when one failed.
 */
import { parseArgs } from "node:util";
import { inPrivateMountNamespace } from "../src/host/mount-namespace.ts";
import { startDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { startRegistry } from "../test/support/registry.ts";
import { debianImages, makerOf, packages } from "./debian-images.ts";
import { startDockerd, unpackDockerd } from "./dockerd.ts";
import { buildAndShare, fromDockerd } from "./real-images/other-direction.ts";
import { trialsOf } from "./real-images/programs.ts";
import { table, trial } from "./real-images/trial.ts";

// Packages come over the network, which is gone afterwards.
if (!inPrivateMountNamespace()) {
  await debianImages();
  await unpackDockerd();
}
startAgainInOwnNamespaces();

const { values } = parseArgs({
  options: {
    walls: { type: "string", default: "container,vm" },
    images: { type: "string", default: packages.join(",") },
  },
});
const wanted = packages.filter((name) => values.images.split(",").includes(name));

await using registry = await startRegistry();
const layout = await debianImages();
for (const name of ["base", ...wanted]) await registry.push(layout, name, `debian/${name}:latest`);
{
  await using daemon = await startDaemon();
  const base = `${registry.host}/debian/base`;
  await trial("base", "", "hull pull", () => daemon.hullOk(["pull", "-q", base]));
  for (const name of wanted) {
    const image = `${registry.host}/debian/${name}`;
    const pulled = `hull pull, made by ${makerOf(name)}`;
    const here = await trial(name, "", pulled, () => daemon.hullOk(["pull", "-q", image]));
    if (!here) continue;
    for (const wall of values.walls.split(",")) await trialsOf({ daemon, name, image, base, wall });
  }
  await using dockerd = await startDockerd();
  for (const name of wanted) {
    for (const wall of values.walls.split(","))
      await buildAndShare({ daemon, dockerd, registry: registry.host, name, wall });
  }
  await fromDockerd({ daemon, dockerd, registry: registry.host, walls: values.walls.split(",") });
}
console.log(table());
process.exitCode = /\| failed/.test(table()) ? 1 : 0;
