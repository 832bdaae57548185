/**
 * A client for the pull side of the OCI distribution spec: requests with authorization, redirects and errors
 * understood. Plain HTTP is spoken with this machine only.
 */
import * as v from "valibot";
import { HullError, messageOf } from "../../contract/errors.ts";
import { parseJson } from "../config.ts";
import type { RegistryAuth } from "../image-store.ts";
import { familiarName, type Reference } from "../reference.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { RegistryReply, Silence } from "./reply.ts";

/** Docker Hub's registry has another name than its images. */
const hosts: Readonly<Record<string, string>> = { "docker.io": "registry-1.docker.io" };
const maxRedirects = 10;
/** Bytes of an error's or a token's JSON. */
const maxReplyBytes = 1024 * 1024;

const errorsSchema = v.object({
  errors: v.array(v.object({ code: v.optional(v.string(), ""), message: v.optional(v.string(), "") })),
});
const tokenSchema = v.object({
  token: v.optional(v.string()),
  access_token: v.optional(v.string()),
});

export interface RequestOptions {
  readonly accept?: readonly string[];
}

/** One repository of one registry. */
export class RegistryClient {
  /** For messages. */
  readonly host: string;
  readonly #repository: string;
  readonly #base: URL;
  readonly #auth: RegistryAuth | undefined;
  readonly #signal: AbortSignal;
  /** The value of `Authorization` that the registry accepted or asked for. */
  #authorization: string | undefined;
  #authorizing: Promise<string> | undefined;

  constructor(reference: Reference, auth: RegistryAuth | undefined, signal: AbortSignal) {
    this.host = reference.domain;
    this.#repository = reference.path;
    const name = hosts[reference.domain] ?? reference.domain;
    this.#base = new URL(`${isLoopback(new URL(`http://${name}`)) ? "http" : "https"}://${name}/v2/`);
    this.#auth = auth;
    this.#signal = signal;
  }

  /**
   * GETs `path` below the repository (`manifests/latest`). The answer has a good status. Throws `unauthorized` or
   * `pullDenied`, `registry`, and `RegistryNotFound` for 404.
   */
  async get(path: string, options: RequestOptions = {}): Promise<RegistryReply> {
    const url = new URL(`${this.#repository}/${path}`, this.#base);
    let reply = await this.#send(url, options);
    if (reply.status === 401) {
      const challenges = parseChallenges(reply.headers.get("www-authenticate") ?? "");
      const why = await explain(reply);
      const stale = this.#authorization;
      this.#authorizing ??= this.#authorize(challenges, why).finally(() => {
        this.#authorizing = undefined;
      });
      this.#authorization = await this.#authorizing;
      if (this.#authorization === stale && !challenges.some(({ scheme }) => scheme === "bearer"))
        throw this.#denied(why);
      reply = await this.#send(url, options);
    }
    if (reply.ok) return reply;
    const why = await explain(reply);
    if (reply.status === 404) throw new RegistryNotFound(why);
    if (reply.status === 401 || reply.status === 403) throw this.#denied(why);
    if (reply.status === 429) throw this.#failed(`too many requests: try again later (${why})`);
    throw this.#failed(why);
  }

  /** One request and the redirects it leads to. `Authorization` goes to the registry itself only. */
  async #send(url: URL, options: RequestOptions): Promise<RegistryReply> {
    let at = url;
    for (let hops = 0; hops <= maxRedirects; hops++) {
      const headers = new Headers({ "user-agent": "hull", "accept-encoding": "identity" });
      for (const type of options.accept ?? []) headers.append("accept", type);
      if (this.#authorization !== undefined && at.origin === this.#base.origin)
        headers.set("authorization", this.#authorization);
      const reply = await this.#fetch(at, { headers });
      const location = reply.headers.get("location");
      if (![301, 302, 303, 307, 308].includes(reply.status) || location === null) return reply;
      await reply.discard();
      at = this.#allowed(new URL(location, at));
    }
    throw this.#failed(`it redirects more than ${maxRedirects} times`);
  }

  /** HTTPS everywhere; plain HTTP from a registry on this machine to this machine. */
  #allowed(url: URL): URL {
    const plain = url.protocol === "http:" && this.#base.protocol === "http:" && isLoopback(url);
    if (url.protocol === "https:" || plain) return url;
    throw this.#failed(`it sends us to ${url.origin}, which is not HTTPS`);
  }

  async #fetch(url: URL, init: { headers: Headers; method?: string; body?: string }): Promise<RegistryReply> {
    const silence = new Silence(this.#signal);
    try {
      const response = await fetch(url, {
        method: init.method ?? "GET",
        headers: init.headers,
        ...(init.body === undefined ? {} : { body: init.body }),
        redirect: "manual",
        signal: silence.signal,
      });
      return new RegistryReply(response, silence, (error) => this.#unreachable(url, error));
    } catch (error) {
      silence.stop();
      throw this.#unreachable(url, error);
    }
  }

  #unreachable(url: URL, error: unknown): Error {
    if (this.#signal.aborted) {
      const reason: unknown = this.#signal.reason;
      return reason instanceof Error ? reason : new Error("the pull was cancelled", { cause: reason });
    }
    return this.#failed(`${url.host} cannot be reached: ${messageOf(error)}`, error);
  }

  #failed(why: string, cause?: unknown): HullError {
    return new HullError("registry", { host: this.host, why }, { cause });
  }

  #denied(why: string): HullError {
    return this.#auth === undefined
      ? new HullError("pullDenied", { name: familiarName(`${this.host}/${this.#repository}`), why })
      : new HullError("unauthorized", { host: this.host, why });
  }

  async #authorize(challenges: readonly Challenge[], why: string): Promise<string> {
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (bearer !== undefined) return `Bearer ${await this.#token(bearer)}`;
    const basic = challenges.some(({ scheme }) => scheme === "basic");
    if (!basic || this.#auth === undefined) throw this.#denied(why);
    return basicAuthorization(this.#auth);
  }

  async #token(challenge: Challenge): Promise<string> {
    const realm = challenge.parameters.get("realm");
    if (realm === undefined || !URL.canParse(realm))
      throw this.#failed("its challenge names no token server");
    const url = this.#allowed(new URL(realm));
    const query = new URLSearchParams({
      service: challenge.parameters.get("service") ?? "",
      scope: challenge.parameters.get("scope") ?? `repository:${this.#repository}:pull`,
    });
    const headers = new Headers({ "user-agent": "hull" });
    let reply: RegistryReply;
    if (this.#auth?.identityToken !== undefined && this.#auth.identityToken !== "") {
      query.set("grant_type", "refresh_token");
      query.set("client_id", "hull");
      query.set("refresh_token", this.#auth.identityToken);
      headers.set("content-type", "application/x-www-form-urlencoded");
      reply = await this.#fetch(url, { method: "POST", headers, body: query.toString() });
    } else {
      for (const [name, value] of query) url.searchParams.append(name, value);
      if (this.#auth !== undefined) headers.set("authorization", basicAuthorization(this.#auth));
      reply = await this.#fetch(url, { headers });
    }
    if (!reply.ok) {
      const why = await explain(reply);
      throw reply.status === 401 || reply.status === 403 ? this.#denied(why) : this.#failed(why);
    }
    const json = await reply.text(maxReplyBytes);
    const { token, access_token: accessToken } = parseJson(tokenSchema, json, `the token of ${url.host}`);
    const value = token ?? accessToken ?? "";
    if (!/^[\x21-\x7e]+$/.test(value)) throw this.#failed(`${url.host} gave no token`);
    return value;
  }
}

/** The registry does not have what was asked for. */
export class RegistryNotFound extends Error {
  override readonly name = "RegistryNotFound";
}

/** What an error's body says, in the registry's words; its status otherwise. */
async function explain(reply: RegistryReply): Promise<string> {
  const fallback = `it answers ${reply.status}`;
  const text = await reply.text(maxReplyBytes).catch(() => "");
  try {
    const { errors } = v.parse(errorsSchema, JSON.parse(text));
    const words = errors.map(({ code, message }) => message || code).filter((word) => word !== "");
    return words.length > 0 ? printableWords(words.join("; ")) : fallback;
  } catch {
    return fallback;
  }
}

/** Words of a stranger: on one line, without control characters, and not too many. */
function printableWords(words: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  return words.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, " ").slice(0, 500);
}

function basicAuthorization(auth: RegistryAuth): string {
  return `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString("base64")}`;
}

function isLoopback(url: URL): boolean {
  const { hostname } = url;
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    hostname === "[::1]" ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  );
}
