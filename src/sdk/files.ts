/** Containers' files: what docker cp, export, diff and commit ask for. */
import type { CommitResponse, ContainerPathStat, FilesystemChange } from "../contract/docker/files.ts";
import { ApiError, ProtocolError } from "./api-error.ts";
import { fieldsOf, stringField } from "./check.ts";
import type { BodyReader } from "./http-body.ts";
import type { Source } from "./images.ts";
import { checked } from "./lazy-schemas.ts";
import type { Transport } from "./transport.ts";

export interface CommitOptions {
  readonly repository?: string | undefined;
  readonly tag?: string | undefined;
  readonly author?: string | undefined;
  readonly message?: string | undefined;
  /** Dockerfile instructions. */
  readonly changes?: readonly string[] | undefined;
  readonly pause?: boolean | undefined;
}

export interface FileArchive {
  readonly stat: ContainerPathStat;
  /** A tar. To be consumed once. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

const statHeader = "x-docker-container-path-stat";

/** `id`: of a container, an unambiguous prefix of it, or its name. Paths are absolute in the container. */
export class ContainerFiles {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** What is at a path; of a symbolic link the link itself. */
  async status(id: string, path: string): Promise<ContainerPathStat> {
    try {
      const answer = await this.#transport.request("HEAD", at(id, "archive"), { query: { path } });
      await drain(answer.body);
      return await statOf(answer.headers);
    } catch (error) {
      // An answer to HEAD has no body that would say which of the two is missing.
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      throw new ApiError(404, `No such container:path: ${id}:${path}`);
    }
  }

  /** `as`: in place of the path's last part, which every name in the archive begins with. */
  async archive(id: string, path: string, options: { readonly as?: string } = {}): Promise<FileArchive> {
    const query = { path, as: options.as };
    const answer = await this.#transport.request("GET", at(id, "archive"), { query });
    return { stat: await statOf(answer.headers), bytes: bytesOf(answer.body) };
  }

  /** Unpacks a tar into a directory. */
  async put(
    id: string,
    path: string,
    tar: Source,
    options: { readonly keepKind?: boolean; readonly giveOwner?: boolean } = {},
  ): Promise<void> {
    const query = { path, noOverwriteDirNonDir: options.keepKind, copyUIDGID: options.giveOwner };
    const upload = { data: tar.data, size: tar.size, contentType: "application/x-tar" };
    await this.#transport.call("PUT", at(id, "archive"), { query, upload });
  }

  /** The whole root file system as a tar. */
  async export(id: string): Promise<AsyncIterable<Uint8Array>> {
    return bytesOf((await this.#transport.request("GET", at(id, "export"))).body);
  }

  async changes(id: string): Promise<FilesystemChange[]> {
    return checked("fileChanges", await this.#transport.json("GET", at(id, "changes")));
  }

  /** Makes an image of a container; returns the image's id. */
  async commit(id: string, options: CommitOptions = {}): Promise<string> {
    const query = {
      container: id,
      repo: options.repository,
      tag: options.tag,
      author: options.author,
      comment: options.message,
      changes: options.changes,
      pause: options.pause ?? true,
    };
    const answer = await this.#transport.json("POST", "/commit", { query });
    return stringField(fieldsOf(answer, "answer to commit"), "Id" satisfies keyof CommitResponse, "answer");
  }
}

function at(id: string, action: string): string {
  return `/containers/${encodeURIComponent(id)}/${action}`;
}

async function statOf(headers: ReadonlyMap<string, string>): Promise<ContainerPathStat> {
  const header = headers.get(statHeader);
  if (header === undefined) throw new ProtocolError("the daemon's answer does not say what is at the path");
  return checked("pathStat", JSON.parse(Buffer.from(header, "base64").toString("utf8")));
}

async function* bytesOf(body: BodyReader): AsyncGenerator<Uint8Array, void, undefined> {
  for (let bytes = await body.read(); bytes !== undefined; bytes = await body.read()) yield bytes;
}

async function drain(body: BodyReader): Promise<void> {
  while ((await body.read()) !== undefined);
}
