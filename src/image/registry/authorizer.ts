/**
 * Answers a registry's challenges: Basic credentials, or a token that a token server gives for them.
 * Sources: distribution, spec/auth/token.md and spec/auth/oauth.md.
 */
import * as v from "valibot";
import { parseJson } from "../config.ts";
import type { RegistryAuth } from "../image-store.ts";
import type { Challenge } from "./challenge.ts";
import { type Endpoint, mayLeadTo, tlsFor } from "./endpoints.ts";
import { explain, maxReplyBytes } from "./explain.ts";
import { RequestFailure } from "./failure.ts";
import type { RegistrySettings } from "./settings.ts";
import { type HttpRequest, send } from "./transport.ts";

const client = "hull";

const tokenSchema = v.object({
  token: v.nullish(v.string(), ""),
  access_token: v.nullish(v.string(), ""),
  refresh_token: v.nullish(v.string(), ""),
});

/** The credentials were refused, or are missing; the message is the registry's own. */
export class Denied extends Error {
  override readonly name = "Denied";
}

export class Authorizer {
  readonly #endpoint: Endpoint;
  readonly #settings: RegistrySettings;
  readonly #auth: RegistryAuth | undefined;
  readonly #scopes = new Set<string>();
  #header: string | undefined;
  #answering: Promise<void> | undefined;
  /** A token that later logins may use in place of the password; empty: the token server gave none. */
  identityToken = "";

  /** `scopes` as in `repository:team/app:pull`; more are added as the registry asks for them. */
  constructor(
    endpoint: Endpoint,
    settings: RegistrySettings,
    auth: RegistryAuth | undefined,
    scopes: readonly string[],
  ) {
    this.#endpoint = endpoint;
    this.#settings = settings;
    this.#auth = auth;
    for (const scope of scopes) this.#scopes.add(scope);
    if (auth?.registryToken !== undefined && auth.registryToken !== "")
      this.#header = `Bearer ${auth.registryToken}`;
  }

  /** The value of `Authorization`, as far as it is known. */
  get header(): string | undefined {
    return this.#header;
  }

  get hasCredentials(): boolean {
    return this.#auth !== undefined || this.#endpoint.credentials !== "";
  }

  /** What later requests need, so that one token serves them all. */
  want(scope: string): void {
    if (this.#scopes.has(scope)) return;
    this.#scopes.add(scope);
    // Basic credentials know no scopes.
    if (this.#header?.startsWith("Bearer ") === true) this.#header = undefined;
  }

  /**
   * After a request with `used` as its `Authorization` was answered with challenges: the header is another one
   * now. Throws `Denied` when there is nothing to answer with, `RequestFailure` when the token server fails.
   */
  async answer(
    challenges: readonly Challenge[],
    used: string | undefined,
    why: string,
    signal: AbortSignal,
  ): Promise<void> {
    // Somebody else's answer came first.
    if (this.#header !== undefined && this.#header !== used) return;
    this.#answering ??= this.#authorize(challenges, used, why, signal).finally(() => {
      this.#answering = undefined;
    });
    await this.#answering;
  }

  async #authorize(
    challenges: readonly Challenge[],
    used: string | undefined,
    why: string,
    signal: AbortSignal,
  ): Promise<void> {
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (bearer !== undefined) {
      for (const scope of (bearer.parameters.get("scope") ?? "").split(" "))
        if (scope !== "") this.#scopes.add(scope);
      this.#header = `Bearer ${await this.#token(bearer, signal)}`;
      return;
    }
    const basic = challenges.some(({ scheme }) => scheme === "basic") ? this.#basic() : undefined;
    if (basic === undefined || basic === used) throw new Denied(why);
    this.#header = basic;
  }

  #basic(): string | undefined {
    const { credentials } = this.#endpoint;
    const text = this.#auth === undefined ? credentials : `${this.#auth.username}:${this.#auth.password}`;
    return text === "" ? undefined : `Basic ${Buffer.from(text).toString("base64")}`;
  }

  async #token(challenge: Challenge, signal: AbortSignal): Promise<string> {
    const realm = challenge.parameters.get("realm") ?? "";
    if (!URL.canParse(realm)) throw new RequestFailure("refused", "its challenge names no token server");
    const url = new URL(realm);
    if (!mayLeadTo(url, this.#endpoint.base, this.#settings))
      throw new RequestFailure("refused", `its token server ${url.origin} is not HTTPS, or on this machine`);
    const request = this.#tokenRequest(url, challenge.parameters.get("service") ?? "");
    const tls = await tlsFor(url, this.#settings);
    const reply = await send({ ...request, tls, signal }, this.#settings);
    if (!reply.ok) {
      const { status } = reply;
      const why = await explain(reply);
      if (status === 401 || status === 403 || status === 400) throw new Denied(why);
      throw new RequestFailure(status === 429 || status >= 500 ? "broken" : "refused", why, { status });
    }
    const json = await reply.text(maxReplyBytes);
    const given = parseJson(tokenSchema, json, `the token of ${url.host}`);
    const token = given.token || given.access_token;
    // It becomes part of a header.
    if (!/^[\x21-\x7e]+$/.test(token)) throw new RequestFailure("refused", `${url.host} gave no token`);
    this.identityToken = given.refresh_token || (this.#auth?.identityToken ?? "");
    return token;
  }

  #tokenRequest(url: URL, service: string): Pick<HttpRequest, "method" | "url" | "headers" | "body"> {
    const headers = new Headers();
    const scopes = [...this.#scopes].sort();
    const identityToken = this.#auth?.identityToken ?? "";
    if (identityToken !== "") {
      headers.set("content-type", "application/x-www-form-urlencoded");
      const body = new URLSearchParams({
        grant_type: "refresh_token",
        client_id: client,
        service,
        scope: scopes.join(" "),
        refresh_token: identityToken,
      });
      return { method: "POST", url, headers, body: body.toString() };
    }
    if (service !== "") url.searchParams.set("service", service);
    for (const scope of scopes) url.searchParams.append("scope", scope);
    const basic = this.#basic();
    if (basic !== undefined) headers.set("authorization", basic);
    if (this.#auth !== undefined) {
      url.searchParams.set("account", this.#auth.username);
      url.searchParams.set("client_id", client);
      if (this.#auth.wantIdentityToken === true) url.searchParams.set("offline_token", "true");
    }
    return { method: "GET", url, headers };
  }
}
