/** /auth and /distribution of the Engine API. */
import type { DistributionInspect, LoginAnswer, RegistryAuthHeader } from "../contract/docker.ts";
import { authHeader } from "./images.ts";
import { checked } from "./lazy-schemas.ts";
import type { Transport } from "./transport.ts";

export class Registries {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Checks credentials with the registry of their `serveraddress`. Throws `ApiError` with status 401 when it refuses them. */
  async login(auth: RegistryAuthHeader): Promise<LoginAnswer> {
    return checked("login", await this.#transport.json("POST", "/auth", { json: auth }));
  }

  /** What a registry has under a name. */
  async inspect(
    name: string,
    options: { readonly auth?: RegistryAuthHeader | undefined } = {},
  ): Promise<DistributionInspect> {
    const path = `/distribution/${name.split("/").map(encodeURIComponent).join("/")}/json`;
    const headers = options.auth === undefined ? {} : { "X-Registry-Auth": authHeader(options.auth) };
    return checked("distribution", await this.#transport.json("GET", path, { headers }));
  }
}
