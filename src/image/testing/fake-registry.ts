/** A registry of a test's own making, which has one small image and may be told to behave badly. */
import { gzipSync } from "node:zlib";
import { digestOf } from "../content/content-store.ts";
import { mediaTypes } from "../manifest.ts";
import { smallTar, tarFile } from "./store.ts";

export interface FakeImage {
  readonly manifest: Buffer;
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  readonly layer: Buffer;
}

export function fakeImage(
  content = "hello",
  platform = { os: "linux", architecture: "amd64" },
  pack: (tar: Uint8Array) => Buffer = gzipSync,
): FakeImage {
  const tar = smallTar(tarFile("file", content));
  const layer = pack(tar);
  const config = Buffer.from(
    JSON.stringify({ ...platform, rootfs: { type: "layers", diff_ids: [digestOf(tar)] } }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
      layers: [
        {
          mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
          digest: digestOf(layer),
          size: layer.length,
        },
      ],
    }),
  );
  return {
    manifest,
    layer,
    blobs: new Map<string, Uint8Array>([
      [digestOf(config), config],
      [digestOf(layer), layer],
      [digestOf(manifest), manifest],
    ]),
  };
}

export type Handler = (request: Request, url: URL) => Response | Promise<Response | undefined> | undefined;

export interface FakeRegistry extends AsyncDisposable {
  readonly host: string;
  readonly requests: SeenRequest[];
}

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
}

/** A registry that has one image under every name; `before` may answer instead. */
export function fakeRegistry(
  image: FakeImage,
  before: Handler = () => undefined,
  tls?: Bun.TLSOptions,
): FakeRegistry {
  const requests: SeenRequest[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    ...(tls === undefined ? {} : { tls }),
    async fetch(request) {
      // The headers of a request that was answered cannot be read any more.
      requests.push({ method: request.method, url: request.url, headers: new Headers(request.headers) });
      const url = new URL(request.url);
      const own = await before(request, url);
      if (own !== undefined) return own;
      const [, kind, which = ""] = /\/(manifests|blobs)\/(.+)$/.exec(url.pathname) ?? [];
      const bytes =
        image.blobs.get(which) ?? (kind === "manifests" && !which.includes(":") ? image.manifest : undefined);
      return bytes === undefined ? new Response("{}", { status: 404 }) : new Response(Buffer.from(bytes));
    },
  });
  return {
    host: `127.0.0.1:${server.port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
    },
  };
}

/** The answer of a registry that wants credentials. */
export function challenge(scheme: string): Response {
  return Response.json(
    { errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] },
    { status: 401, headers: { "www-authenticate": scheme } },
  );
}

/** What a promise was rejected with; undefined when it was not. */
export function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}
