/** What a client asks of a build, in the engine's own terms, and what it gets to see of it. */
import type { ProgressEvent, RegistryAuth } from "../../image/image-store.ts";
import type { RunRequest } from "../request.ts";

export interface BuildRequest {
  readonly context: ContextSource;
  /** Path of the Dockerfile in the context. */
  readonly dockerfile: string;
  /** References for the image. */
  readonly references: readonly string[];
  /** Undefined: named, but without a value. */
  readonly arguments: ReadonlyMap<string, string | undefined>;
  readonly labels: Readonly<Record<string, string>>;
  /** Name or number of a stage; empty: the last one. */
  readonly target: string;
  readonly useCache: boolean;
  /** Images are pulled although they are here. */
  readonly pull: boolean;
  /** Images whose history may stand in for steps; empty: what earlier builds left. */
  readonly cacheFrom: readonly string[];
  /** Whether workloads of commands that succeeded go; of those that failed. */
  readonly remove: boolean;
  readonly forceRemove: boolean;
  /** What every command runs with: wall, limits, network. Image, command, user and so on are filled in. */
  readonly template: RunRequest;
  readonly authOf: (domain: string) => RegistryAuth | undefined;
}

/** Where a context comes from. */
export type ContextSource =
  | { readonly kind: "tar"; readonly bytes: AsyncIterable<Uint8Array> }
  /** A git repository, a tar or a single Dockerfile behind a URL. */
  | { readonly kind: "remote"; readonly url: string };

/** Each resolves when more may be told. */
export interface BuildOutput {
  text(text: string): Promise<void>;
  progress(event: ProgressEvent): Promise<void>;
  /** The id of what was built. */
  image(id: string): Promise<void>;
}
