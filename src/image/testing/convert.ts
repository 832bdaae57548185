/** Converting whole tars in tests. */
import { createReadStream } from "node:fs";
import { BufferedFile } from "../content/buffered-file.ts";
import { LayerBuilder } from "../layer/builder.ts";

/** Writes the layer of a tar. `chunkBytes` is how much the builder gets at once. */
export async function convert(tar: string | Uint8Array, layer: string, chunkBytes = 65_536): Promise<void> {
  await using out = new BufferedFile(layer);
  const builder = new LayerBuilder("the test layer", out);
  if (typeof tar === "string") {
    for await (const chunk of createReadStream(tar, { highWaterMark: chunkBytes })) await builder.push(chunk);
  } else {
    for (let at = 0; at < tar.length; at += chunkBytes) await builder.push(tar.subarray(at, at + chunkBytes));
  }
  await builder.end();
  await out.finish("written");
}
