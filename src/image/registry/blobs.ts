/** Blobs that are stored as they come: configs, layers of other platforms, whatever artifacts are made of. */
import { HullError } from "../../contract/errors.ts";
import { naming } from "../content/naming.ts";
import type { Digest, ProgressEvent } from "../image-store.ts";
import { verify, verifyBytes } from "../layer/ingest.ts";
import type { Descriptor } from "../manifest.ts";
import type { RegistryClient } from "./client.ts";
import { byteReporter, type RegistryContext, shortDigest } from "./context.ts";
import { maxDocumentBytes } from "./documents.ts";
import { download } from "./download.ts";
import { pastMirrors } from "./fallback.ts";

/** A config, whole in memory. Throws `tooLarge`, `digestMismatch`, and as `download` does. */
export async function fetchConfig(
  client: RegistryClient,
  descriptor: Descriptor,
  name: string,
): Promise<Buffer> {
  const what = `the config of ${name}`;
  if (descriptor.size > maxDocumentBytes)
    throw new HullError("tooLarge", {
      what,
      value: `${descriptor.size} bytes`,
      limit: `${maxDocumentBytes} bytes`,
    });
  return pastMirrors(client, async (passed) => {
    const chunks: Uint8Array[] = [];
    const options = { what, signal: client.signal, passed };
    for await (const chunk of download(client, descriptor, options)) chunks.push(new Uint8Array(chunk));
    const bytes = Buffer.concat(chunks);
    verifyBytes(what, descriptor.digest, bytes);
    return bytes;
  });
}

/** Fetches a blob into the content store, unless it is there. */
export async function fetchBlob(
  context: RegistryContext,
  client: RegistryClient,
  descriptor: Descriptor,
  name: string,
  onProgress: (event: ProgressEvent) => void,
): Promise<void> {
  const { content } = context;
  const id = shortDigest(descriptor.digest);
  if ((await content.blobSize(descriptor.digest)) === descriptor.size) {
    onProgress({ status: "Already exists", id });
    return;
  }
  onProgress({ status: "Pulling fs layer", id });
  const what = `the blob ${id} of ${name}`;
  await context.blobs.join(descriptor.digest, client.signal, onProgress, (signal, emit) =>
    context.places.take(signal, () =>
      pastMirrors(client, async (passed) => {
        await using file = content.create();
        const hash = new Bun.CryptoHasher("sha256");
        const report = byteReporter("Downloading", id, descriptor.size, emit);
        const onWait = (seconds: number): void => emit({ status: `Retrying in ${seconds} seconds`, id });
        try {
          for await (const chunk of download(client, descriptor, { what, signal, onWait, passed })) {
            hash.update(chunk);
            file.out.write(chunk);
            await file.out.drain();
            report(chunk.length);
          }
          const actual: Digest = `sha256:${hash.digest("hex")}`;
          verify(what, descriptor.digest, actual);
          await content.publishBlob(file, descriptor.digest);
        } catch (error) {
          throw naming(what, error);
        }
      }),
    ),
  );
  onProgress({ status: "Download complete", id });
}
