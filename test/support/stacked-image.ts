/** Images of very many layers, as an archive that `hull load` takes. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type TarMember, writeTar } from "../../src/image/tar/writer.ts";

/** A static busybox below, then one layer for each number from 1 to `count`-1: each adds `/n/N`, and replaces `/last`. */
export function stackedImage(count: number, name: string): Buffer {
  const busybox = readFileSync("/bin/busybox");
  const layers = Array.from({ length: count }, (_, number) => {
    const files: TarMember[] =
      number === 0
        ? [
            { path: "bin/busybox", type: "file", mode: 0o755, content: busybox },
            ...["sh", "cat", "ls", "true"].map(
              (tool): TarMember => ({ path: `bin/${tool}`, type: "symlink", mode: 0o777, target: "busybox" }),
            ),
          ]
        : [{ path: `n/${number}`, type: "file", mode: 0o644, content: Buffer.from(`layer ${number}\n`) }];
    files.push({ path: "last", type: "file", mode: 0o644, content: Buffer.from(`${number}\n`) });
    // Every tenth takes away what the one before has added.
    if (number > 0 && number % 10 === 0)
      files.push({ path: `n/.wh.${number - 1}`, type: "file", mode: 0o644 });
    return Buffer.concat([...writeTar(files)]);
  });
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    config: { Env: ["PATH=/bin"], Cmd: ["sh"] },
    rootfs: {
      type: "layers",
      diff_ids: layers.map((tar) => `sha256:${createHash("sha256").update(tar).digest("hex")}`),
    },
  });
  const paths = layers.map((_, number) => `${number}.tar`);
  const manifest = JSON.stringify([{ Config: "config.json", RepoTags: [name], Layers: paths }]);
  const file = (path: string, content: Uint8Array): TarMember => ({
    path,
    type: "file",
    mode: 0o644,
    content,
  });
  return Buffer.concat([
    ...writeTar([
      file("manifest.json", Buffer.from(manifest)),
      file("config.json", Buffer.from(config)),
      ...layers.map((tar, number) => file(paths[number] ?? "", tar)),
    ]),
  ]);
}
