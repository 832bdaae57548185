/** Turns the bytes of one uncompressed tar into one EROFS file, in a single pass and without unpacking anything. */
import type { BufferedFile } from "../content/buffered-file.ts";
import { TarParser } from "../tar/parser.ts";
import { FileDataWriter } from "./file-data.ts";
import { writeMetadata } from "./metadata.ts";
import { LayerTree } from "./tree.ts";

/** Members may cost far more time than their bytes tell, and the daemon has others to serve. */
const sliceBytes = 32 * 1024;
const turnMilliseconds = 20;

export class LayerBuilder {
  readonly #what: string;
  readonly #out: BufferedFile;
  readonly #tree: LayerTree;
  readonly #data: FileDataWriter;
  readonly #parser: TarParser;
  /** When others are to have their turn. */
  #pause = performance.now() + turnMilliseconds;

  /** `what` names the layer in errors; `out` is empty and stays the caller's. */
  constructor(what: string, out: BufferedFile) {
    this.#what = what;
    this.#out = out;
    const tree = new LayerTree(what);
    const data = new FileDataWriter(what, out, tree);
    this.#tree = tree;
    this.#data = data;
    let receiving = false;
    this.#parser = new TarParser(what, {
      entry(entry) {
        const file = tree.apply(entry);
        receiving = file !== undefined;
        if (file !== undefined) data.begin(file, entry);
      },
      data(bytes, offset) {
        if (receiving) data.write(bytes, offset);
      },
      entryEnd() {
        if (receiving) data.end();
      },
    });
  }

  async push(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += sliceBytes) {
      this.#parser.push(bytes.subarray(at, at + sliceBytes));
      if (performance.now() < this.#pause) continue;
      await new Promise((resolve) => setImmediate(resolve));
      this.#pause = performance.now() + turnMilliseconds;
    }
    await this.#out.drain();
  }

  /** After the tar's last byte: everything else is written. The file is not closed. */
  async end(): Promise<void> {
    this.#parser.end();
    await writeMetadata(this.#what, this.#tree.root, this.#data, this.#out);
  }
}
