/**
 * Certificates for registries: the system's authorities, and what lies in `certs.d/HOST[:PORT]/`: `*.crt` are more
 * authorities, `NAME.cert` with `NAME.key` is a certificate to show. Source: moby, docs of dockerd, "Verify
 * repository client with certificates".
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { getCACertificates, rootCertificates } from "node:tls";
import { HullError, messageOf } from "../../contract/errors.ts";

/** What `fetch` takes as `tls`. */
export interface TlsOptions {
  readonly ca: string[];
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized: boolean;
}

let authorities: readonly string[] | undefined;

/** The system's, so that what its administrator added counts; those that came with the runtime where it has none. */
function systemAuthorities(): readonly string[] {
  if (authorities === undefined) {
    const system = getCACertificates("system");
    authorities = system.length > 0 ? system : rootCertificates;
  }
  return authorities;
}

export interface Certificates {
  /** Whether somebody put certificates there for this host. */
  readonly configured: boolean;
  readonly tls: Omit<TlsOptions, "rejectUnauthorized">;
}

/** `host` is `name[:port]`, as the folder is called. Throws `registry` when a file is missing or cannot be read. */
export async function certificatesFor(directories: readonly string[], host: string): Promise<Certificates> {
  for (const directory of directories) {
    const folder = join(directory, host);
    const names = await namesIn(folder, host);
    if (names === undefined) continue;
    const pair = names.find((name) => name.endsWith(".cert"));
    const read = (name: string) => readCertificate(join(folder, name), host);
    const own = await Promise.all(names.filter((name) => name.endsWith(".crt")).map(read));
    const client = pair === undefined ? {} : await clientPair(folder, names, pair, host);
    return { configured: names.length > 0, tls: { ca: [...systemAuthorities(), ...own], ...client } };
  }
  return { configured: false, tls: { ca: [...systemAuthorities()] } };
}

async function namesIn(folder: string, host: string): Promise<string[] | undefined> {
  // A host never has a slash, and one of dots alone would lead out of the directory.
  if (/^\.+$|\//.test(host)) return undefined;
  try {
    return (await readdir(folder)).filter((name) => /\.(crt|cert|key)$/.test(name)).sort();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw unreadable(folder, host, error);
  }
}

async function clientPair(
  folder: string,
  names: readonly string[],
  certificate: string,
  host: string,
): Promise<{ cert: string; key: string }> {
  const key = certificate.replace(/\.cert$/, ".key");
  if (!names.includes(key)) {
    const why = `${join(folder, certificate)} has no key beside it: put it into ${join(folder, key)}`;
    throw new HullError("registry", { host, why });
  }
  const read = (name: string) => readCertificate(join(folder, name), host);
  return { cert: await read(certificate), key: await read(key) };
}

async function readCertificate(path: string, host: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw unreadable(path, host, error);
  }
}

function unreadable(path: string, host: string, error: unknown): HullError {
  return new HullError(
    "registry",
    { host, why: `its certificates cannot be read: ${path}: ${messageOf(error)}` },
    { cause: error },
  );
}
