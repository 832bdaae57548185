/** The credentials that go with a pull or push of an image. */
import type { RegistryAuthHeader } from "../../contract/docker.ts";
import type { Hull } from "../../sdk/main.ts";
import { Credentials } from "./credentials.ts";

export function credentialsFor(hull: Hull, name: string): Promise<RegistryAuthHeader | undefined> {
  return new Credentials().findForName(name, () => defaultAddress(hull));
}

/** Where the daemon looks for names without a host. */
export async function defaultAddress(hull: Hull): Promise<string> {
  return (await hull.system.info()).IndexServerAddress ?? "";
}
