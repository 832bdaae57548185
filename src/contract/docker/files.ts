/** A container's files. */

/** The header X-Docker-Container-Path-Stat of HEAD and GET /containers/{id}/archive: this, as JSON in base64. */
export interface ContainerPathStat {
  /** The last part of the path that was asked for. */
  readonly name: string;
  readonly size: number;
  /** Permissions and kind, as Go's fs.FileMode. */
  readonly mode: number;
  readonly mtime: string;
  /** Where a symbolic link leads, absolute. */
  readonly linkTarget: string;
}

/** One of GET /containers/{id}/changes */
export interface FilesystemChange {
  readonly Path: string;
  /** 0: modified, 1: added, 2: deleted. */
  readonly Kind: 0 | 1 | 2;
}

/** POST /commit */
export interface CommitResponse {
  readonly Id: string;
}
