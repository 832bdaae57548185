/** A store of a test's own, and small things to put into it. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ImageStore } from "../image-store.ts";
import { defaultRegistrySettings, type RegistrySettings } from "../registry/settings.ts";
import { openImageStore } from "../store.ts";
import { type TarMember, writeTar } from "../tar/writer.ts";
import { tempDirectory } from "./temp.ts";

export interface TestStore extends AsyncDisposable {
  readonly store: ImageStore;
  readonly root: string;
}

/** Retries follow at once, and the machine's own certificates do not count. */
export const testSettings: RegistrySettings = {
  ...defaultRegistrySettings,
  certificateDirectories: [],
  patience: { ...defaultRegistrySettings.patience, backoff: 1 },
};

export async function testStore(settings: RegistrySettings = testSettings): Promise<TestStore> {
  const temp = await tempDirectory();
  const root = join(temp.path, "root");
  const store = await openImageStore(root, settings);
  return {
    store,
    root,
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** Every blob, layer and temporary file of a store. */
export async function contentOf(root: string): Promise<string[]> {
  const found: string[] = [];
  for (const directory of ["content/blobs/sha256", "content/temp", "layers"])
    for (const name of await readdir(join(root, directory))) found.push(`${directory}/${name}`);
  return found.sort();
}

export function smallTar(...members: TarMember[]): Buffer {
  return Buffer.concat([...writeTar(members)]);
}

export function tarFile(path: string, content: string): TarMember {
  return { path, type: "file", mode: 0o644, content: Buffer.from(content) };
}

export function streamOf(bytes: Uint8Array, chunkBytes = 10_000): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.subarray(at, at + chunkBytes));
      at += chunkBytes;
    },
  });
}

export const importOptions = { reference: "", message: "", changes: [], platform: "" } as const;
