/** What a machine that waits for an image rehearses with (wall/vm/rehearsal.ts): a layer with one program. */
import { readFile } from "node:fs/promises";
import { convertLayer } from "../image/layer/convert.ts";
import { type TarMember, writeTar } from "../image/tar/writer.ts";
import { rehearsalProgram } from "../wall/vm/rehearsal.ts";

/** `program`: guest/host's, which needs no library. Nothing is at `path` yet. */
export async function writeRehearsalLayer(program: string, path: string): Promise<void> {
  const members = membersOf(await readFile(program));
  const tar = async function* (): AsyncGenerator<Uint8Array> {
    yield* writeTar(members);
  };
  await convertLayer(tar(), { what: "the layer for rehearsals", layer: path, plain: `${path}.tar` }, "own");
}

function membersOf(program: Uint8Array): TarMember[] {
  const file = (path: string, content: string): TarMember => ({
    ...{ path, type: "file", mode: 0o644 },
    content: Buffer.from(content),
  });
  return [
    { path: "etc/", type: "directory", mode: 0o755 },
    file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
    file("etc/group", "root:x:0:\n"),
    // Gets an id, as that of many an image does.
    file("etc/machine-id", ""),
    { path: "bin/", type: "directory", mode: 0o755 },
    { path: rehearsalProgram.slice(1), type: "file", mode: 0o755, content: program },
  ];
}
