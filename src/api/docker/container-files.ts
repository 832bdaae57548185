/** A container's files: archive (docker cp), export, changes (docker diff). */
import type { ContainerPathStat, FilesystemChange } from "../../contract/docker/files.ts";
import { HullError } from "../../contract/errors.ts";
import { rfc3339 } from "../../engine/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import type { FileChange } from "../../engine/files/changes.ts";
import type { FileEntry } from "../../wall/files.ts";
import type { ByteChannel } from "../channel.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";

const tarType = "application/x-tar";
const statHeader = "X-Docker-Container-Path-Stat";

export function containerFileRoutes(engine: Engine): Route[] {
  const archive = "/containers/:id/archive";
  return [
    { method: "HEAD", path: archive, handle: (exchange) => tellStatus(engine, exchange) },
    { method: "GET", path: archive, handle: (exchange) => getArchive(engine, exchange) },
    { method: "PUT", path: archive, handle: (exchange) => putArchive(engine, exchange) },
    { method: "GET", path: "/containers/:id/export", handle: (exchange) => exportAll(engine, exchange) },
    { method: "GET", path: "/containers/:id/changes", handle: (exchange) => changes(engine, exchange) },
  ];
}

async function tellStatus(engine: Engine, exchange: Exchange): Promise<void> {
  const path = pathOf(exchange);
  await using files = await engine.files(engine.find(exchange.parameter("id")), { mounts: true });
  exchange.sendEmpty(200, { [statHeader]: encoded(statOf(await files.status(path))) });
}

async function getArchive(engine: Engine, exchange: Exchange): Promise<void> {
  const path = pathOf(exchange);
  await using files = await engine.files(engine.find(exchange.parameter("id")), { mounts: true });
  const stat = encoded(statOf(await files.status(path)));
  // Docker's clients rename what they unpack themselves.
  const as = exchange.query.get("as") ?? undefined;
  await send(files.archive(path, as), exchange.sendStream(tarType, { [statHeader]: stat }));
}

async function putArchive(engine: Engine, exchange: Exchange): Promise<void> {
  const path = pathOf(exchange);
  const keepKind = exchange.flag("noOverwriteDirNonDir");
  const workload = engine.find(exchange.parameter("id"));
  await using files = await engine.files(workload, { mounts: true });
  const owner = exchange.flag("copyUIDGID") ? await files.processOwner() : undefined;
  await files.extract(path, exchange.stream(), { keepKind, owner });
  exchange.sendEmpty(200);
}

async function exportAll(engine: Engine, exchange: Exchange): Promise<void> {
  await using files = await engine.files(engine.find(exchange.parameter("id")), { mounts: false });
  await send(files.export(), exchange.sendStream("application/octet-stream"));
}

async function send(bytes: AsyncIterable<Uint8Array>, channel: ByteChannel): Promise<void> {
  for await (const chunk of bytes) {
    if (channel.gone.aborted) return;
    await channel.write(chunk);
  }
  channel.end();
}

async function changes(engine: Engine, exchange: Exchange): Promise<void> {
  await using files = await engine.files(engine.find(exchange.parameter("id")), { mounts: false });
  exchange.sendJson(200, (await files.changes()).map(changeOf));
}

const kinds = { modified: 0, added: 1, deleted: 2 } as const;

function changeOf({ path, kind }: FileChange): FilesystemChange {
  return { Path: Buffer.from(path, "latin1").toString("utf8"), Kind: kinds[kind] };
}

function pathOf(exchange: Exchange): string {
  const path = exchange.text("path");
  if (path !== "") return path;
  throw new HullError("invalidParameter", { what: "path", value: "", why: "it cannot be empty" });
}

function encoded(stat: ContainerPathStat): string {
  return Buffer.from(JSON.stringify(stat)).toString("base64");
}

/** Bits of Go's fs.FileMode, in which Docker tells a file's kind. */
const typeBits: Readonly<Record<FileEntry["type"], number>> = {
  file: 0,
  hardlink: 0,
  directory: 2 ** 31,
  symlink: 2 ** 27,
  "block-device": 2 ** 26,
  fifo: 2 ** 25,
  "character-device": 2 ** 26 + 2 ** 21,
};
const specialBits = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
] as const;

function statOf(entry: FileEntry): ContainerPathStat {
  const special = specialBits.reduce((sum, [bit, value]) => sum + (entry.mode & bit ? value : 0), 0);
  const text = (name: string): string => Buffer.from(name, "latin1").toString("utf8");
  return {
    name: text(entry.path),
    size: entry.size,
    mode: (entry.mode & 0o777) + special + typeBits[entry.type],
    mtime: rfc3339(entry.mtime.seconds * 1000),
    linkTarget: text(entry.linkTarget),
  };
}
