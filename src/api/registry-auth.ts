/** Credentials for registries that come with requests. Source: Docker Engine API, "Authentication". */
import * as v from "valibot";
import { dictionary } from "../contract/dictionary.ts";
import { HullError } from "../contract/errors.ts";
import type { RegistryAuth } from "../image/image-store.ts";
import { defaultRegistry, parseReference } from "../image/reference.ts";
import { type Exchange, parseWith } from "./exchange.ts";

export const authSchema = v.looseObject({
  username: v.nullish(v.string(), ""),
  password: v.nullish(v.string(), ""),
  auth: v.nullish(v.string(), ""),
  serveraddress: v.nullish(v.string(), ""),
  identitytoken: v.nullish(v.string(), ""),
  registrytoken: v.nullish(v.string(), ""),
});

/** Of the header X-Registry-Auth, for an image's name; undefined: there are none for its registry. */
export function registryAuth(exchange: Exchange, name: string): RegistryAuth | undefined {
  const header = exchange.request.headers["x-registry-auth"];
  if (header === undefined || header === "") return undefined;
  const given = parseWith(authSchema, decoded(String(header), "X-Registry-Auth"), "X-Registry-Auth");
  return isForHubAlone(given.serveraddress, name) ? undefined : authOf(given);
}

/**
 * Docker's clients take a name without a host for Docker Hub's, and send its credentials along. Where such names
 * are another registry's, that one must not see them.
 */
export function isForHubAlone(address: string, name: string): boolean {
  const isHub = /^(https?:\/\/)?(index\.|registry-1\.)?docker\.io(\/|$)/.test(address);
  return isHub && defaultRegistry() !== "docker.io" && parseReference(name).domain !== "docker.io";
}

const configSchema = dictionary(authSchema);

/** Of the header X-Registry-Config: for every registry that the client knows, since a build may pull from several. */
export function registryAuths(exchange: Exchange): (domain: string) => RegistryAuth | undefined {
  return authsOf(exchange.request.headers["x-registry-config"]);
}

export function authsOf(
  header: string | readonly string[] | undefined,
): (domain: string) => RegistryAuth | undefined {
  if (header === undefined || header === "") return () => undefined;
  const config = parseWith(configSchema, decoded(String(header), "X-Registry-Config"), "X-Registry-Config");
  return (domain) => {
    const hosts = domain === "docker.io" ? ["docker.io", "index.docker.io"] : [domain];
    // The plain host comes before addresses of old, as in Docker's own files.
    const key =
      hosts.find((host) => Object.hasOwn(config, host)) ??
      Object.keys(config).find((each) => hosts.includes(hostOf(each)));
    const found = key === undefined ? undefined : config[key];
    return found === undefined ? undefined : authOf(found);
  };
}

/** Of `https://index.docker.io/v1/`, as logins of long ago are kept: moby, registry, ConvertToHostname. */
function hostOf(address: string): string {
  return address.replace(/^https?:\/\//, "").replace(/\/.*$/s, "");
}

/** JSON in URL-safe base64, or in the ordinary one of old clients. The value is never part of an error. */
function decoded(header: string, what: string): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(header, "base64url").toString("utf8"));
    return value ?? {};
  } catch (error) {
    throw new HullError(
      "invalidParameter",
      { what, value: "(hidden)", why: "it is not JSON in URL-safe base64" },
      { cause: error },
    );
  }
}

export function authOf(given: v.InferOutput<typeof authSchema>): RegistryAuth | undefined {
  const [username = "", ...password] = Buffer.from(given.auth, "base64").toString("utf8").split(":");
  const auth = {
    username: given.username === "" ? username : given.username,
    password: given.password === "" ? password.join(":") : given.password,
  };
  if (given.identitytoken !== "") return { ...auth, identityToken: given.identitytoken };
  if (given.registrytoken !== "") return { ...auth, registryToken: given.registrytoken };
  return auth.username === "" ? undefined : auth;
}
