/**
 * A client of one repository of a registry: requests go to the mirrors first where there are some, are tried again
 * when that may help, and fail with errors of the table. Source: OCI distribution-spec 1.1.
 */
import { HullError, isHullError } from "../../contract/errors.ts";
import type { RegistryAuth } from "../image-store.ts";
import { familiarName } from "../reference.ts";
import { Denied } from "./authorizer.ts";
import { type Call, Connection } from "./connection.ts";
import { isInsecure, mayLeadTo, mirrorsOf, ownEndpoint, tlsFor } from "./endpoints.ts";
import { explain } from "./explain.ts";
import { RequestFailure } from "./failure.ts";
import type { RegistryReply } from "./reply.ts";
import { Retries, retryAfter } from "./retry.ts";
import type { RegistrySettings } from "./settings.ts";

export interface RegistryRepository {
  /** `docker.io`, `localhost:5000`… */
  readonly domain: string;
  readonly path: string;
}

export interface ClientOptions {
  readonly settings: RegistrySettings;
  readonly auth?: RegistryAuth | undefined;
  /** What is to be done there. Mirrors are asked for pulls only. */
  readonly actions: "pull" | "pull,push";
  readonly signal: AbortSignal;
}

export interface ReadOptions extends Pick<Call, "headers" | "accept"> {
  readonly method?: "GET" | "HEAD";
  readonly signal?: AbortSignal;
  /** So many mirrors, the first ones, are not asked. */
  readonly passed?: number;
}

/** The registry does not have what was asked for. */
export class RegistryNotFound extends Error {
  override readonly name = "RegistryNotFound";
}

export class RegistryClient {
  readonly domain: string;
  readonly path: string;
  readonly settings: RegistrySettings;
  readonly signal: AbortSignal;
  readonly #auth: RegistryAuth | undefined;
  readonly #actions: ClientOptions["actions"];
  readonly #own: Connection;
  readonly #mirrors: readonly Connection[];

  private constructor(
    repository: RegistryRepository,
    options: ClientOptions,
    own: Connection,
    mirrors: readonly Connection[],
  ) {
    this.domain = repository.domain;
    this.path = repository.path;
    this.settings = options.settings;
    this.signal = options.signal;
    this.#auth = options.auth;
    this.#actions = options.actions;
    this.#own = own;
    this.#mirrors = mirrors;
  }

  /** Nothing is asked yet, but hosts that may speak plain HTTP are looked at. Throws `registry`. */
  static async open(repository: RegistryRepository, options: ClientOptions): Promise<RegistryClient> {
    const { settings, auth, actions, signal } = options;
    const scopes = [`repository:${repository.path}:${actions}`];
    const mirrors = actions === "pull" ? await mirrorsOf(repository.domain, settings) : [];
    const own = await ownEndpoint(repository.domain, settings, signal);
    return new RegistryClient(
      repository,
      options,
      new Connection(own, settings, auth, scopes),
      // The user's credentials are for the registry itself.
      mirrors.map((mirror) => new Connection(mirror, settings, undefined, scopes)),
    );
  }

  get mirrorCount(): number {
    return this.#mirrors.length;
  }

  /** Later requests read this repository of the same registry too. */
  wantAlso(path: string): void {
    this.#own.authorizer.want(`repository:${path}:pull`);
  }

  /**
   * GETs or HEADs `path` below the repository. The answer has a good status. Throws `RegistryNotFound`,
   * `pullDenied`, `unauthorized`, `registry`. `what` names what is fetched, in errors.
   */
  read(path: string, what: string, options: ReadOptions = {}): Promise<RegistryReply> {
    return this.retrying(what, () => this.readOnce(path, options), options.signal ?? this.signal);
  }

  /** One attempt, at each mirror and then at the registry itself. Throws `RequestFailure`, `RegistryNotFound`, `Denied`. */
  async readOnce(path: string, options: ReadOptions = {}): Promise<RegistryReply> {
    const { method = "GET", signal = this.signal, passed = 0, ...rest } = options;
    const call: Call = { ...rest, method, at: `${this.path}/${path}` };
    for (const mirror of this.#mirrors.slice(passed)) {
      // Whatever is wrong with a mirror, the next in line may have it.
      const reply = await this.#ask(mirror, call, signal).catch(() => undefined);
      signal.throwIfAborted();
      if (reply !== undefined) return reply;
    }
    return this.#ask(this.#own, call, signal);
  }

  /** One attempt at a foreign layer, which lies elsewhere: nobody's credentials go there. */
  async readForeign(text: string, options: ReadOptions = {}): Promise<RegistryReply> {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol))
      throw new RequestFailure("refused", "its place is no URL of HTTP");
    const base = new URL(isInsecure(url, this.settings) ? url.origin : `https://${url.host}`);
    if (!mayLeadTo(base, this.#own.endpoint.base, this.settings))
      throw new RequestFailure("refused", `its place ${base.origin} is on this machine, or not HTTPS`);
    const tls = await tlsFor(url, this.settings);
    const endpoint = { host: url.host, base, tls, mirror: false, credentials: "" };
    const { method = "GET", headers = {}, signal = this.signal } = options;
    const connection = new Connection(endpoint, this.settings, undefined, []);
    return this.#ask(connection, { method, headers, at: url }, signal);
  }

  /** A request that changes something, at the registry itself. As `read`. */
  async write(call: Call, what: string): Promise<RegistryReply> {
    return this.retrying(what, () => this.once(call), this.signal);
  }

  /** One attempt at the registry itself; the answer has a good status. Throws `RequestFailure`, `RegistryNotFound`, `Denied`. */
  once(call: Call, signal = this.signal): Promise<RegistryReply> {
    return this.#ask(this.#own, call, signal);
  }

  /** Runs attempts until one succeeds; failures become errors of the table. */
  async retrying<T>(what: string, attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const retries = new Retries(this.settings.patience, signal);
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        await retries.after(error).catch((final: unknown) => {
          throw this.errorOf(what, final);
        });
      }
    }
  }

  async #ask(connection: Connection, call: Call, signal: AbortSignal): Promise<RegistryReply> {
    const reply = await connection.request(call, signal);
    if (reply.ok) return reply;
    const { status } = reply;
    const wait = retryAfter(reply.header("retry-after"));
    const why = await explain(reply);
    if (status === 404) throw new RegistryNotFound(why);
    if (status === 401 || status === 403) throw new Denied(why);
    if (status === 429) {
      const words = wait === undefined ? why : `${why}; it asks to wait ${Math.ceil(wait / 1000)} seconds`;
      throw new RequestFailure("broken", `too many requests: try again later (${words})`, { status, wait });
    }
    throw new RequestFailure(status >= 500 ? "broken" : "refused", why, { status, wait });
  }

  /** What goes to the user. */
  errorOf(what: string, error: unknown): unknown {
    if (this.signal.aborted) {
      const reason: unknown = this.signal.reason;
      return reason instanceof Error ? reason : new Error("it was cancelled", { cause: reason });
    }
    if (isHullError(error) || error instanceof RegistryNotFound) return error;
    if (error instanceof Denied) return this.#denied(error);
    if (error instanceof RequestFailure)
      return new HullError(
        "registry",
        { host: this.domain, why: `${what}: ${error.message}` },
        { cause: error },
      );
    return error;
  }

  #denied(error: Denied): HullError {
    const why = error.message;
    const name = familiarName(`${this.domain}/${this.path}`);
    if (this.#actions === "pull,push")
      return new HullError("pushDenied", { name, why, host: this.domain }, { cause: error });
    return this.#auth === undefined
      ? new HullError("pullDenied", { name, why }, { cause: error })
      : new HullError("unauthorized", { host: this.domain, why }, { cause: error });
  }
}
