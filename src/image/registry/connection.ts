/** Requests to one endpoint of a registry: authorized when it asks for that, redirected where it says. */
import type { RegistryAuth } from "../image-store.ts";
import { Authorizer } from "./authorizer.ts";
import { parseChallenges } from "./challenge.ts";
import { type Endpoint, mayLeadTo, tlsFor } from "./endpoints.ts";
import { explain } from "./explain.ts";
import { RequestFailure } from "./failure.ts";
import type { RegistryReply } from "./reply.ts";
import type { RegistrySettings } from "./settings.ts";
import { type HttpRequest, send } from "./transport.ts";

const maxRedirects = 10;

export interface Call {
  readonly method: HttpRequest["method"];
  /** Below `/v2/`, or a whole URL that the registry gave (an upload's place). */
  readonly at: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly accept?: readonly string[];
  readonly body?: HttpRequest["body"];
  readonly patience?: number;
}

export class Connection {
  readonly endpoint: Endpoint;
  readonly authorizer: Authorizer;
  readonly #settings: RegistrySettings;

  constructor(
    endpoint: Endpoint,
    settings: RegistrySettings,
    auth: RegistryAuth | undefined,
    scopes: readonly string[],
  ) {
    this.endpoint = endpoint;
    this.#settings = settings;
    this.authorizer = new Authorizer(endpoint, settings, auth, scopes);
  }

  /** The answer, whatever its status; 401 only when there is no way to answer it. Throws `RequestFailure`, `Denied`. */
  async request(call: Call, signal: AbortSignal): Promise<RegistryReply> {
    const url = typeof call.at === "string" ? new URL(call.at, this.endpoint.base) : this.allowed(call.at);
    const used = this.authorizer.header;
    const reply = await this.#redirected(url, call, used, signal);
    // Whoever it redirects to may not ask for what belongs to the registry, nor say who is to be told of it.
    if (reply.status !== 401 || reply.url.origin !== this.endpoint.base.origin) return reply;
    const challenges = parseChallenges(reply.header("www-authenticate") ?? "");
    await this.authorizer.answer(challenges, used, await explain(reply), signal);
    return this.#redirected(url, call, this.authorizer.header, signal);
  }

  /** One request and the redirects it leads to. `Authorization` goes to the registry itself only. */
  async #redirected(
    url: URL,
    call: Call,
    authorization: string | undefined,
    signal: AbortSignal,
  ): Promise<RegistryReply> {
    let at = url;
    for (let hops = 0; hops <= maxRedirects; hops++) {
      const headers = new Headers(call.headers);
      for (const type of call.accept ?? []) headers.append("accept", type);
      const own = at.origin === this.endpoint.base.origin;
      if (authorization !== undefined && own) headers.set("authorization", authorization);
      const { method, body, patience } = call;
      const reply = await send(
        {
          method,
          url: at,
          headers,
          body,
          tls: own ? this.endpoint.tls : await tlsFor(at, this.#settings),
          signal,
          ...(patience === undefined ? {} : { patience }),
        },
        this.#settings,
      );
      const location = reply.header("location");
      if (![301, 302, 303, 307, 308].includes(reply.status) || location === undefined) return reply;
      await reply.discard();
      if (!URL.canParse(location, at.href))
        throw new RequestFailure("refused", "it redirects to what is no URL");
      at = this.allowed(new URL(location, at));
    }
    throw new RequestFailure("refused", `it redirects more than ${maxRedirects} times`);
  }

  /** HTTPS everywhere; plain HTTP from a registry that is allowed it to a host that is. Throws `RequestFailure`. */
  allowed(url: URL): URL {
    const { base } = this.endpoint;
    const secure = url.protocol === "https:" || base.protocol === "http:";
    if (secure && mayLeadTo(url, base, this.#settings)) return url;
    throw new RequestFailure(
      "refused",
      `it sends us to ${url.origin}, which is not HTTPS, or on this machine`,
    );
  }
}
