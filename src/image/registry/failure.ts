/** Requests that failed, with what decides whether they are tried again; they become errors of the table at the client. */
import { messageOf } from "../../contract/errors.ts";

/** A request to a registry that brought nothing usable. The message is what the user is told of the cause. */
export class RequestFailure extends Error {
  override readonly name = "RequestFailure";
  /**
   * `unreachable`: no connection; `refused`: TLS or an answer that trying again does not change; `broken`: the
   * connection ended or stalled, or the registry is busy: the same request may fare better later.
   */
  readonly kind: "unreachable" | "refused" | "broken";
  /** HTTP status, if there was an answer. */
  readonly status: number | undefined;
  /** Milliseconds that the registry asks to wait. */
  readonly wait: number | undefined;

  constructor(
    kind: RequestFailure["kind"],
    message: string,
    options: ErrorOptions & { readonly status?: number; readonly wait?: number | undefined } = {},
  ) {
    super(message, options);
    this.kind = kind;
    this.status = options.status;
    this.wait = options.wait;
  }
}

const reasons: Readonly<Record<string, readonly [kind: RequestFailure["kind"], words: string]>> = {
  ECONNREFUSED: ["unreachable", "the connection is refused"],
  ConnectionRefused: ["unreachable", "the connection is refused"],
  ENOTFOUND: ["unreachable", "there is no host of that name"],
  EAI_AGAIN: ["unreachable", "the name cannot be looked up"],
  EHOSTUNREACH: ["unreachable", "there is no way to that host"],
  ENETUNREACH: ["unreachable", "there is no way to that network"],
  ERR_PROXY_TUNNEL: ["refused", "the proxy refuses to connect to it"],
  CERT_HAS_EXPIRED: ["refused", "its certificate has expired"],
  CERT_NOT_YET_VALID: ["refused", "its certificate is not valid yet: look at this machine's clock"],
  CERT_REVOKED: ["refused", "its certificate was revoked"],
  ERR_TLS_CERT_ALTNAME_INVALID: ["refused", "its certificate is for other names"],
  EPROTO: [
    "refused",
    "the TLS handshake failed: either it speaks plain HTTP (see registries.insecure), or it asks for a client certificate",
  ],
};

const unknownAuthority =
  "its certificate is of an authority that is not known here: put the authority's certificate into certs.d";
for (const code of [
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
])
  Object.assign(reasons, { [code]: ["refused", unknownAuthority] });

/** What an error of `fetch` means. */
export function failureOf(url: URL, error: unknown): RequestFailure {
  if (error instanceof RequestFailure) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const known = Object.hasOwn(reasons, code) ? reasons[code] : undefined;
  const [kind, words] = known ?? ["broken", messageOf(error)];
  const detail = code === "ERR_PROXY_TUNNEL" ? ` (${messageOf(error)})` : "";
  return new RequestFailure(kind, `${url.host} cannot be reached: ${words}${detail}`, { cause: error });
}
