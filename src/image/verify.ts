/**
 * `image verify`: every blob is hashed, and every layer made again from its blob and compared. What is damaged or
 * missing is mended: a document from what the records know, a blob from the registry that the image came from, a
 * layer from its blob. A layer that is in use keeps the file it was mounted with.
 */
import { createReadStream } from "node:fs";
import { HullError, messageOf } from "../contract/errors.ts";
import { type ContentStore, digestOf } from "./content/content-store.ts";
import type { Digest, VerifiedPart, VerifyOptions } from "./image-store.ts";
import { convertLayer } from "./layer/convert.ts";
import { startConversion } from "./layer/converters.ts";
import type { LayerRecord } from "./layer/ingest.ts";
import { formatManifest, parseManifest } from "./manifest.ts";
import { partsOfImage } from "./parts.ts";
import type { ImageRecord, ImageRecords } from "./records.ts";
import { familiarName, parseReference } from "./reference.ts";
import { fetchBlob } from "./registry/blobs.ts";
import { RegistryClient } from "./registry/client.ts";
import type { RegistryContext } from "./registry/context.ts";
import { fetchTop, maxDocumentBytes } from "./registry/documents.ts";

const smallBytes = 1024 * 1024;
const openingBrace = 0x7b;

/** `context.content` is a session: what is to be looked at stays until then. Resolves to whether everything is whole at the end. */
export async function verifyStore(context: RegistryContext, options: VerifyOptions): Promise<boolean> {
  const verifier = new Verifier(context, options);
  return await verifier.all();
}

class Verifier {
  readonly #context: RegistryContext;
  readonly #content: ContentStore;
  readonly #records: ImageRecords;
  readonly #options: VerifyOptions;
  readonly #users = new Map<Digest, ImageRecord[]>();
  readonly #layers = new Map<Digest, { readonly layer: LayerRecord; readonly images: ImageRecord[] }>();
  #whole = true;

  constructor(context: RegistryContext, options: VerifyOptions) {
    this.#context = context;
    this.#content = context.content;
    this.#records = context.records;
    this.#options = options;
  }

  async all(): Promise<boolean> {
    for (const image of this.#records.all()) {
      const { blobs, layers } = partsOfImage(this.#records, image);
      this.#content.hold(...blobs, ...layers);
      for (const digest of blobs) this.#users.set(digest, [...(this.#users.get(digest) ?? []), image]);
      for (const layer of image.layers) {
        const known = this.#layers.get(layer.diffId) ?? { layer, images: [] };
        if (!known.images.includes(image)) known.images.push(image);
        this.#layers.set(layer.diffId, known);
      }
    }
    for (const [digest, images] of this.#users) {
      this.#options.signal.throwIfAborted();
      const damage = await this.#blobDamage(digest);
      await this.#tell("blob", digest, images, damage, () => this.#mendBlob(digest, images));
    }
    for (const [diffId, { layer, images }] of this.#layers) {
      this.#options.signal.throwIfAborted();
      await this.#verifyLayer(diffId, layer, images);
    }
    await this.#verifyCache();
    return this.#whole;
  }

  /** What only the build cache has: damaged, it is forgotten, and the next build makes it anew. */
  async #verifyCache(): Promise<void> {
    const steps = this.#records.buildCache.all();
    const layers = new Map(this.#records.buildCache.layers().map((layer) => [layer.diffId, layer]));
    for (const [diffId, { blob }] of layers) this.#content.hold(diffId, blob);
    for (const [diffId, layer] of layers) {
      if (this.#layers.has(diffId)) continue;
      this.#options.signal.throwIfAborted();
      const damage = await this.#blobDamage(layer.blob);
      await this.#tell("blob", layer.blob, [], damage, async () => {
        for (const step of steps)
          if (step.layer?.diffId === diffId) this.#records.buildCache.delete(step.key);
        return "forgotten by the build cache";
      });
      if (damage === "") await this.#verifyLayer(diffId, layer, []);
    }
  }

  async #tell(
    kind: VerifiedPart["kind"],
    digest: Digest,
    users: readonly ImageRecord[],
    damage: string,
    mend: () => Promise<string>,
  ): Promise<void> {
    let repaired = false;
    let note = "";
    if (damage !== "" && this.#options.repair)
      try {
        note = await mend();
        repaired = true;
      } catch (error) {
        note = messageOf(error);
      }
    this.#whole &&= damage === "" || repaired;
    const images = users.map((image) => this.#nameOf(image));
    await this.#options.onPart({ kind, digest, images, damage, repaired, note });
  }

  #nameOf({ id }: ImageRecord): string {
    const [tag] = this.#records.tagsOf(id);
    return tag === undefined ? id : `${familiarName(tag.canonical)}:${tag.tag}`;
  }

  async #blobDamage(digest: Digest): Promise<string> {
    if ((await this.#content.blobSize(digest)) === undefined) return "it is missing";
    const actual = await hashOf(this.#content.blobPath(digest));
    return actual === digest ? "" : `its content has the digest ${actual}`;
  }

  async #mendBlob(digest: Digest, images: readonly ImageRecord[]): Promise<string> {
    for (const image of images) {
      const made = madeHere(image, digest);
      if (made === undefined) continue;
      await this.#content.putBlob(made);
      return "made again from the records";
    }
    const failures: string[] = [];
    for (const image of images)
      for (const named of this.#records.digestsOf(image.id)) {
        const name = `${familiarName(named.canonical)}@${named.digest}`;
        try {
          await this.#fetch(name, digest, image);
          return `fetched from ${name}`;
        } catch (error) {
          this.#options.signal.throwIfAborted();
          failures.push(messageOf(error));
        }
      }
    throw new HullError("corrupt", {
      what: `the blob ${digest}`,
      why: failures[0] ?? "no registry is known to have it: load or build the image again",
    });
  }

  async #fetch(name: string, digest: Digest, image: ImageRecord): Promise<void> {
    const reference = parseReference(name);
    const { settings } = this.#context;
    const { signal, authOf } = this.#options;
    const auth = authOf(reference.domain);
    const client = await RegistryClient.open(reference, { settings, auth, actions: "pull", signal });
    const size =
      image.layers.find(({ blob }) => blob === digest)?.blobBytes ?? (await this.#sizeOf(digest, image));
    if (size === undefined) {
      // What no manifest names is a manifest, or an index, itself.
      const { bytes } = await fetchTop(client, { ...reference, digest });
      await this.#content.putBlob(bytes);
      return;
    }
    // What is damaged must not be taken for what is there already.
    await this.#content.dropBlob(digest);
    const descriptor = { mediaType: "", digest, size, annotations: {}, urls: [] };
    await fetchBlob(this.#context, client, descriptor, name, () => undefined);
  }

  /** The size that a manifest of the image tells of a blob; undefined when none does. */
  async #sizeOf(digest: Digest, image: ImageRecord): Promise<number | undefined> {
    for (const part of partsOfImage(this.#records, image).blobs) {
      const bytes = await this.#document(part);
      if (bytes === undefined) continue;
      try {
        const document = parseManifest(bytes.toString("utf8"), part);
        if (document.kind === "index") continue;
        const found = [document.config, ...document.layers].find((each) => each.digest === digest);
        if (found !== undefined) return found.size;
      } catch {
        // It is no manifest.
      }
    }
    return undefined;
  }

  /** A blob that may be a document, and is whole. */
  async #document(digest: Digest): Promise<Buffer | undefined> {
    const size = await this.#content.blobSize(digest);
    if (size === undefined || size > maxDocumentBytes) return undefined;
    const bytes = await this.#content.readBlob(digest);
    return bytes[0] === openingBrace && digestOf(bytes) === digest ? bytes : undefined;
  }

  async #verifyLayer(diffId: Digest, layer: LayerRecord, images: readonly ImageRecord[]): Promise<void> {
    await using made = this.#content.reserve();
    await using plain = this.#content.reserve();
    const what = `layer ${diffId}`;
    let failure = "";
    try {
      const conversion = await this.#convert(layer, { what, layer: made.path, plain: plain.path });
      if (conversion.diffId !== diffId) failure = `its blob unpacks to ${conversion.diffId}`;
    } catch (error) {
      failure = messageOf(error);
    }
    const damage = await this.#layerDamage(diffId, failure === "" ? made.path : undefined);
    await this.#tell("layer", diffId, images, damage, async () => {
      if (failure !== "") throw new HullError("corrupt", { what, why: failure });
      await this.#content.publishLayer(made, diffId);
      return "made again from its blob";
    });
  }

  #convert(layer: LayerRecord, paths: { what: string; layer: string; plain: string }) {
    const blob = this.#content.blobPath(layer.blob);
    if (layer.blobBytes < smallBytes) return convertLayer(createReadStream(blob), paths, "another");
    return convertByProcess(blob, paths);
  }

  async #layerDamage(diffId: Digest, made: string | undefined): Promise<string> {
    if ((await this.#content.layerSize(diffId)) === undefined) return "it is missing";
    if (made === undefined) return "it cannot be compared, for its blob is damaged";
    const same = (await hashOf(made)) === (await hashOf(this.#content.layerPath(diffId)));
    return same ? "" : "it is not what its blob makes";
  }
}

async function convertByProcess(blob: string, paths: { what: string; layer: string; plain: string }) {
  await using conversion = startConversion(blob, paths);
  return await conversion.end();
}

/** Documents that need no registry: a config is in the records, and a manifest that was only made here is made again. */
function madeHere(image: ImageRecord, digest: Digest): Buffer | undefined {
  const config = Buffer.from(image.config);
  if (image.artifact === undefined && digest === image.id && digestOf(config) === digest) return config;
  const manifest = Buffer.from(formatManifest(config, image.id, image.layers));
  return digestOf(manifest) === digest ? manifest : undefined;
}

async function hashOf(path: string): Promise<Digest> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk);
  return `sha256:${hash.digest("hex")}`;
}
