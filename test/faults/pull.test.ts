/** The daemon is killed while it pulls, again and again: what was there is there, and nothing is half there. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { digestOf } from "../../src/image/content/content-store.ts";
import { mediaTypes } from "../../src/image/manifest.ts";
import { type FakeRegistry, fakeRegistry } from "../../src/image/testing/fake-registry.ts";
import { contentOf, smallTar, tarFile } from "../../src/image/testing/store.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { testTimeout } from "../support/scenario.ts";

/** Two layers that processes of their own convert, and one that the daemon does. */
const tars = [1_500_000, 1_200_000, 100].map((bytes, index) =>
  smallTar(tarFile(`file-${index}`, Buffer.from(randomBytes(bytes)).toString("base64"))),
);
const layers = tars.map((tar) => gzipSync(tar));
const [large = Buffer.alloc(0), second = Buffer.alloc(0)] = layers;

function randomBytes(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

const describe = (bytes: Uint8Array, mediaType: string) => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
});
const rootfs = { type: "layers", diff_ids: tars.map((tar) => digestOf(tar)) };
const config = Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", rootfs }));
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    config: describe(config, mediaTypes.ociConfig),
    layers: layers.map((layer) => describe(layer, "application/vnd.oci.image.layer.v1.tar+gzip")),
  }),
);
const blobs = new Map<string, Uint8Array>([config, ...layers].map((bytes) => [digestOf(bytes), bytes]));

/** Called with what is asked for; what it gives is the answer. */
let onRequest: (path: string) => Promise<Response | undefined> = () => Promise.resolve(undefined);
let registry: FakeRegistry;
let daemon: TestDaemon;

beforeAll(async () => {
  registry = fakeRegistry({ manifest, layer: large, blobs }, (_, url) => onRequest(url.pathname));
  daemon = await startDaemon();
}, testTimeout);
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
}, testTimeout);

const never = (): Promise<Response> => new Promise(() => undefined);

/** Half of a layer, and nothing after that. */
function halfOf(layer: Buffer): Response {
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(layer.subarray(0, layer.length / 2)),
  });
  return new Response(body, { headers: { "content-length": String(layer.length) } });
}

interface KillPoint {
  readonly name: string;
  /** The answer after which the daemon is killed, if it is asked for this. */
  readonly at?: { readonly path: string; answer(): Response | undefined };
  /** Or what the client has to say before. */
  readonly said?: RegExp;
}

const points: readonly KillPoint[] = [
  { name: "the manifest is asked for", at: { path: "/manifests/1", answer: () => undefined } },
  { name: "the config is asked for", at: { path: digestOf(config), answer: () => undefined } },
  { name: "half of a layer is here", at: { path: digestOf(large), answer: () => halfOf(large) } },
  { name: "half of another layer is here", at: { path: digestOf(second), answer: () => halfOf(second) } },
  { name: "all of a layer has arrived", said: /Download complete/ },
  { name: "a layer is done", said: /Pull complete/ },
  { name: "the image is recorded", said: /Digest: sha256/ },
];

test(
  "a pull that a killed daemon was in leaves nothing, and is done by the next one",
  async () => {
    const name = `${registry.host}/x/y:1`;
    expect(await daemon.hullOk(["run", "--rm", "hull/tiny", "echo", "runs"])).toBe("runs");
    const before = await contentOf(daemon.root);
    for (const point of points) {
      const reached = Promise.withResolvers<void>();
      onRequest = (path) => {
        if (point.at === undefined || !path.endsWith(point.at.path)) return Promise.resolve(undefined);
        reached.resolve();
        const answer = point.at.answer();
        return answer === undefined ? never() : Promise.resolve(answer);
      };
      const pull = daemon.spawnHull(["pull", name]);
      if (point.said === undefined) await reached.promise;
      else await pull.waitForOutput(point.said);
      await daemon.kill9();
      await pull.result;
      await daemon.start();
      const isThere = (await daemon.hullOk(["images", "-q", name])) !== "";
      expect({ point: point.name, isThere }).toEqual({
        point: point.name,
        isThere: isThere && point.said !== undefined,
      });
      // Whole, or not at all.
      if (!isThere) expect(await contentOf(daemon.root)).toEqual(before);
      expect(await daemon.hullOk(["image", "verify", "--check"])).not.toContain("damaged");
      expect(await daemon.hullOk(["run", "--rm", "hull/tiny", "echo", "still"])).toBe("still");
      onRequest = () => Promise.resolve(undefined);
      await daemon.hullOk(["pull", "-q", name]);
      await daemon.hullOk(["image", "verify", "--check"]);
      await daemon.hullOk(["rmi", name]);
      expect(await contentOf(daemon.root)).toEqual(before);
    }
  },
  testTimeout,
);
