/** Commands for a machine that was started without layers, and is given them while it stands still or has used none yet. */
import { emptyDisk, layerFile, layerNode } from "./arguments.ts";
import { jailed } from "./layout.ts";
import type { QmpCommand } from "./qmp.ts";

/** Puts an empty disk in the place of the layer that a machine has rehearsed with. */
export function emptyingOf(): QmpCommand[] {
  const name = "no-rehearsal";
  return [
    { execute: "blockdev-add", arguments: emptyDisk(name, true) },
    { execute: "blockdev-reopen", arguments: { options: [{ ...layerNode(0), file: name }] } },
  ];
}

/** Puts the layers in the place of the empty disks, and lets the machine go on. */
export function fillingOf(layers: number): QmpCommand[] {
  const indices = Array.from({ length: layers }, (_, index) => index);
  const reopened = indices.map((index) => ({ ...layerNode(index), file: `layer${index}-file` }));
  return [
    ...indices.map((index) => ({
      execute: "blockdev-add",
      arguments: {
        ...layerFile(jailed.layer(index)),
        "node-name": `layer${index}-file`,
        "read-only": true,
      },
    })),
    { execute: "blockdev-reopen", arguments: { options: reopened } },
    { execute: "cont" },
  ];
}
