/** Registries themselves: POST /auth, GET /distribution/{name}/json. */
import * as v from "valibot";
import { HullError } from "../../contract/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Exchange } from "../exchange.ts";
import { authOf, authSchema, registryAuth } from "../registry-auth.ts";
import type { Route } from "../server.ts";

const noSearch = "registries are not searched: their protocol has no search, so pull by name";

export function registryRoutes(engine: Engine): Route[] {
  return [
    { method: "POST", path: "/auth", handle: (exchange) => login(engine, exchange) },
    { method: "GET", path: "/distribution/*", handle: (exchange) => inspect(engine, exchange) },
    {
      method: "GET",
      path: "/images/search",
      handle() {
        throw new HullError("unsupported", { what: "search", where: "", why: noSearch });
      },
    },
  ];
}

const loginSchema = v.looseObject({ ...authSchema.entries, email: v.nullish(v.string(), "") });

async function login(engine: Engine, exchange: Exchange): Promise<void> {
  const given = await exchange.json(loginSchema);
  const auth = authOf(given);
  if (auth === undefined)
    throw new HullError("invalidParameter", { what: "username", value: "", why: "a login needs one" });
  const identityToken = await engine.images.login(given.serveraddress, auth, exchange.gone);
  exchange.sendJson(200, { Status: "Login Succeeded", IdentityToken: identityToken });
}

async function inspect(engine: Engine, exchange: Exchange): Promise<void> {
  const name = /^(.+)\/json$/.exec(exchange.parameter("*"))?.[1];
  if (name === undefined)
    throw new HullError("noSuchRoute", { value: `GET /distribution/${exchange.parameter("*")}` });
  const auth = registryAuth(exchange, name);
  const found = await engine.images.inspectRemote(name, { auth, signal: exchange.gone });
  exchange.sendJson(200, {
    Descriptor: { mediaType: found.mediaType, digest: found.digest, size: found.size },
    Platforms: found.platforms.map(({ variant, ...platform }) =>
      variant === "" ? platform : { ...platform, variant },
    ),
  });
}
