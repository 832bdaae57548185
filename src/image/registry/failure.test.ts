import { expect, test } from "bun:test";
import { HullError } from "../../contract/errors.ts";
import { naming } from "../content/naming.ts";
import { failureOf } from "./failure.ts";

const url = new URL("https://r.example.com:5000/v2/");

function systemError(code: string): Error {
  return Object.assign(new Error(`${code} and more`), { code });
}

test("errors of the network say what is wrong and whether to try again", () => {
  const cases = [
    ["ECONNREFUSED", "unreachable", "r.example.com:5000 cannot be reached: the connection is refused"],
    ["CERT_HAS_EXPIRED", "refused", "its certificate has expired"],
    ["SELF_SIGNED_CERT_IN_CHAIN", "refused", "put the authority's certificate into certs.d"],
    ["EPROTO", "refused", "the TLS handshake failed"],
    ["ERR_PROXY_TUNNEL", "refused", "the proxy refuses to connect to it (ERR_PROXY_TUNNEL and more)"],
    ["ECONNRESET", "broken", "ECONNRESET and more"],
  ] as const;
  for (const [code, kind, words] of cases) {
    const failure = failureOf(url, systemError(code));
    expect(failure.kind).toBe(kind);
    expect(failure.message).toContain(words);
  }
});

test("a full disk is told with what was being written", () => {
  const full = new HullError("noSpace", { what: "/root/temp/1234", path: "/root" });
  expect(String(naming("layer 0123 of app:1", full))).toContain(
    "while writing layer 0123 of app:1: free some space under /root",
  );
  const other = new Error("other");
  expect(naming("layer", other)).toBe(other);
});
