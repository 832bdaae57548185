/** Good input to start from: small, and with everything in it that is read. */
import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { directory, extension, file, hardlink, type RawMember, rawTar, symlink } from "../testing/raw-tar.ts";

const sparseOld = `${"00000000000\0" + "00000001000\0"}${"00000010000\0" + "00000001000\0"}${"\0".repeat(48)}\0${"00000020000\0"}`;

export const tars: readonly Buffer[] = [
  rawTar(
    ...[directory("etc"), file("etc/passwd", "root:x:0:0\n"), symlink("lib", "usr/lib"), file("lib/so", "x")],
    ...[hardlink("etc/group", "etc/passwd"), { name: "dev", type: "3", device: [1, 3] } as const],
    ...[file("etc/.wh.shadow", ""), file("var/.wh..wh..opq", ""), { name: "fifo", type: "6" } as const],
  ),
  rawTar(
    ...pax(
      "path=long/name",
      "mtime=-1.25",
      "uid=70000",
      "SCHILY.xattr.user.k=v",
      "SCHILY.xattr.security.capability=\x01\0\0\x02",
    ),
    ...pax(
      "linkpath=long/name",
      "LIBARCHIVE.xattr.user%2Ek=dg==",
      "SCHILY.acl.access=user::rw-,group::r--,other::r--",
    ),
    ...pax("GNU.sparse.size=100000", "GNU.sparse.map=0,4,90000,4"),
    ...pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=50000", "GNU.sparse.name=sparse"),
    ...pax("GNU.sparse.size=4096", "GNU.sparse.numblocks=1", "GNU.sparse.offset=0", "GNU.sparse.numbytes=8"),
  ),
  Buffer.concat([
    extension("L", `${"n/".repeat(100)}n\0`),
    extension("K", "target\0"),
    rawTar(file("short")),
  ]),
  Buffer.concat([
    extension("g", "9 uid=42\n"),
    rawTar(file("a"), directory("b"), file("a/"), hardlink("c", "a")),
  ]),
  rawTar({
    name: "sparse",
    type: "S",
    data: Buffer.alloc(1024, 1),
    fields: { 257: "ustar  \0", 386: sparseOld },
  }),
  rawTar(...Array.from({ length: 60 }, (_, i) => file(`many/${"x".repeat(60)}${i}`, "y".repeat(i * 7)))),
];

/** One member for each form of a sparse file, and others; the data fits them all. */
function pax(...records: string[]): RawMember[] {
  const map = records.some((record) => record.includes("major=1")) ? "1\n0\n8\n".padEnd(512, "\0") : "";
  return [{ name: "member", data: `${map}${"d".repeat(8)}`, pax: records }];
}

export const compressed: readonly Buffer[] = tars.flatMap((tar) => [
  gzipSync(tar),
  zstdCompressSync(tar),
  Buffer.concat([gzipSync(tar.subarray(0, 512)), gzipSync(tar.subarray(512))]),
  Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7]), zstdCompressSync(tar)]),
]);

const sum = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const layer = tars[0] ?? Buffer.alloc(0);

export const config = JSON.stringify({
  architecture: "amd64",
  os: "linux",
  created: "2024-01-01T00:00:00Z",
  config: {
    Env: ["A=b"],
    Cmd: ["sh"],
    Entrypoint: ["e"],
    User: "1:2",
    WorkingDir: "/w",
    Labels: { k: "v" },
    ExposedPorts: { "80/tcp": {} },
    Volumes: { "/v": {} },
    StopSignal: "SIGTERM",
    Healthcheck: { Test: ["CMD", "true"], Interval: 1e9 },
  },
  rootfs: { type: "layers", diff_ids: [`sha256:${sum(layer)}`] },
  history: [{ created: "2024-01-01T00:00:00Z", created_by: "x", empty_layer: false }],
});

const descriptor = (mediaType: string, bytes: string | Uint8Array) => ({
  mediaType,
  digest: `sha256:${sum(bytes)}`,
  size: bytes.length,
});

const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  config: descriptor("application/vnd.oci.image.config.v1+json", config),
  layers: [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
  annotations: { a: "b" },
});

const index = JSON.stringify({
  schemaVersion: 2,
  manifests: [
    {
      ...descriptor("application/vnd.oci.image.manifest.v1+json", manifest),
      platform: { os: "linux", architecture: "amd64", variant: "v2" },
      annotations: { "org.opencontainers.image.ref.name": "name:tag" },
    },
  ],
});

export const documents: readonly string[] = [manifest, index];

/** Archives of images, as the files that are in them. */
export const archives: readonly (readonly (readonly [name: string, content: string | Uint8Array])[])[] = [
  [
    ["manifest.json", JSON.stringify([{ Config: "c.json", RepoTags: ["a:b"], Layers: ["l.tar"] }])],
    ["c.json", config],
    ["l.tar", layer],
  ],
  [
    ["oci-layout", '{"imageLayoutVersion":"1.0.0"}'],
    ["index.json", index],
    [`blobs/sha256/${sum(manifest)}`, manifest],
    [`blobs/sha256/${sum(config)}`, config],
    [`blobs/sha256/${sum(layer)}`, layer],
  ],
];
