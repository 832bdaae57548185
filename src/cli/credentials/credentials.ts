/** Credentials for registries: where docker keeps them, they are looked for and kept. */

import type { RegistryAuthHeader } from "../../contract/docker.ts";
import { ownMember } from "../../contract/own-member.ts";
import { configPath, type DockerConfig, entryOf, hostOf, readConfig, writeEntry } from "./config-file.ts";
import { CredentialHelper, tokenUser } from "./helper.ts";

/** What Docker Hub's credentials go by. */
export const hubAddress = "https://index.docker.io/v1/";

/** The address that credentials for a registry go by: `https://index.docker.io/v1/`, `localhost:5000`. */
export function addressOf(registry: string): string {
  const host = hostOf(registry);
  return ["", "docker.io", "index.docker.io", "registry-1.docker.io"].includes(host) ? hubAddress : host;
}

/** The registry that an image's name names; empty: it is left to the daemon. */
export function registryOfName(name: string): string {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  return isHost ? first : "";
}

export class Credentials {
  readonly path: string;

  constructor(path: string = configPath()) {
    this.path = path;
  }

  /** For an address; undefined: there are none. */
  async find(address: string): Promise<RegistryAuthHeader | undefined> {
    return this.#find(await readConfig(this.path), address);
  }

  /**
   * For an image's name. `defaultAddress` tells where names without a host are looked for, and is asked only when
   * there are any credentials at all.
   */
  async findForName(
    name: string,
    defaultAddress: () => Promise<string>,
  ): Promise<RegistryAuthHeader | undefined> {
    const config = await readConfig(this.path);
    const { auths, credsStore, credHelpers } = config;
    const none = [auths, credHelpers].every((part) => Object.keys(part).length === 0) && credsStore === "";
    if (none) return undefined;
    const registry = registryOfName(name);
    return this.#find(config, addressOf(registry === "" ? await defaultAddress() : registry));
  }

  /** All that there are, by address: a build may pull from anywhere. */
  async all(): Promise<Record<string, RegistryAuthHeader>> {
    const config = await readConfig(this.path);
    const addresses = new Set([...Object.keys(config.auths), ...Object.keys(config.credHelpers)]);
    if (config.credsStore !== "")
      for (const address of await new CredentialHelper(config.credsStore).list()) addresses.add(address);
    const found: Record<string, RegistryAuthHeader> = {};
    for (const address of addresses) {
      const auth = await this.#find(config, address);
      if (auth !== undefined) found[address] = auth;
    }
    return found;
  }

  /** Returns where they were put: the path of a file, which is not encrypted, or the name of a helper. */
  async keep(
    address: string,
    given: { readonly username: string; readonly password: string; readonly identityToken: string },
  ): Promise<{ readonly file: string } | { readonly helper: string }> {
    const helper = helperFor(await readConfig(this.path), address);
    const { username, password, identityToken } = given;
    if (helper !== undefined) {
      const token = identityToken === "" ? undefined : { username: tokenUser, secret: identityToken };
      await new CredentialHelper(helper).store(address, token ?? { username, secret: password });
      // An entry without a secret tells docker that there is one.
      await writeEntry(this.path, address, {});
      return { helper };
    }
    const secret = identityToken === "" ? password : "";
    const auth = Buffer.from(`${username}:${secret}`).toString("base64");
    await writeEntry(this.path, address, {
      auth,
      ...(identityToken === "" ? {} : { identitytoken: identityToken }),
    });
    return { file: this.path };
  }

  /** False: there was nothing to forget. */
  async forget(address: string): Promise<boolean> {
    const config = await readConfig(this.path);
    const known = entryOf(config, address) !== undefined;
    const helper = helperFor(config, address);
    const kept = helper === undefined ? undefined : await new CredentialHelper(helper).get(address);
    if (helper !== undefined && kept !== undefined) await new CredentialHelper(helper).erase(address);
    if (known) await writeEntry(this.path, address, undefined);
    return known || kept !== undefined;
  }

  async #find(config: DockerConfig, address: string): Promise<RegistryAuthHeader | undefined> {
    const helper = helperFor(config, address);
    if (helper !== undefined) {
      const kept = await new CredentialHelper(helper).get(address);
      if (kept === undefined) return undefined;
      return kept.username === tokenUser
        ? { identitytoken: kept.secret, serveraddress: address }
        : { username: kept.username, password: kept.secret, serveraddress: address };
    }
    const entry = entryOf(config, address);
    if (entry === undefined) return undefined;
    const [name = "", ...rest] = Buffer.from(entry.auth, "base64").toString("utf8").split(":");
    const username = name || entry.username;
    const password = rest.join(":").replace(/\0+$/, "") || entry.password;
    const { identitytoken, registrytoken } = entry;
    if (username === "" && identitytoken === "" && registrytoken === "") return undefined;
    return {
      username,
      password,
      serveraddress: address,
      ...(identitytoken === "" ? {} : { identitytoken }),
      ...(registrytoken === "" ? {} : { registrytoken }),
    };
  }
}

/** The helper that keeps an address's credentials; undefined: the file does. */
function helperFor(config: DockerConfig, address: string): string | undefined {
  const own = ownMember(config.credHelpers, address) ?? ownMember(config.credHelpers, hostOf(address)) ?? "";
  const helper = own === "" ? config.credsStore : own;
  return helper === "" ? undefined : helper;
}
