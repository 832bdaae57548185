/** Checks of credentials, without anything being pulled or pushed. */
import { HullError, isHullError } from "../../contract/errors.ts";
import type { RegistryAuth } from "../image-store.ts";
import { parseReference } from "../reference.ts";
import { Denied } from "./authorizer.ts";
import { Connection } from "./connection.ts";
import { ownEndpoint } from "./endpoints.ts";
import { explain } from "./explain.ts";
import { RequestFailure } from "./failure.ts";
import { Retries } from "./retry.ts";
import type { RegistrySettings } from "./settings.ts";

/** Docker Hub's credentials go by the address of its index of long ago. */
const hubAddresses = ["", "index.docker.io", "registry-1.docker.io", "docker.io"];

/** The registry that an address of a login means: `https://index.docker.io/v1/`, `localhost:5000`. Throws `invalidParameter`. */
export function domainOfAddress(address: string): string {
  const host = address.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  if (hubAddresses.includes(host)) return "docker.io";
  try {
    // It has to be a host that could stand in a reference.
    const { domain } = parseReference(`${host}/x/x`);
    if (domain === host) return host;
  } catch {
    // The error below has better words.
  }
  throw new HullError("invalidParameter", {
    what: "registry",
    value: JSON.stringify(address),
    why: "use HOST[:PORT]",
  });
}

/** Returns an identity token to be kept in place of the password; empty: keep the password. Throws `unauthorized`, `registry`. */
export async function checkLogin(
  domain: string,
  auth: RegistryAuth,
  settings: RegistrySettings,
  signal: AbortSignal,
): Promise<string> {
  const endpoint = await ownEndpoint(domain, settings, signal);
  const connection = new Connection(endpoint, settings, { ...auth, wantIdentityToken: true }, []);
  const retries = new Retries(settings.patience, signal);
  for (;;) {
    try {
      const reply = await connection.request({ method: "GET", at: endpoint.base }, signal);
      if (reply.ok) {
        await reply.discard();
        return connection.authorizer.identityToken;
      }
      const { status } = reply;
      const why = await explain(reply);
      if (status === 401 || status === 403) throw new Denied(why);
      throw new RequestFailure(status >= 500 || status === 429 ? "broken" : "refused", why, { status });
    } catch (error) {
      await retries.after(error).catch((final: unknown) => {
        throw errorOf(domain, final);
      });
    }
  }
}

function errorOf(domain: string, error: unknown): unknown {
  if (isHullError(error) || !(error instanceof Error)) return error;
  if (error instanceof Denied)
    return new HullError("unauthorized", { host: domain, why: error.message }, { cause: error });
  if (error instanceof RequestFailure)
    return new HullError("registry", { host: domain, why: `login: ${error.message}` }, { cause: error });
  return error;
}
