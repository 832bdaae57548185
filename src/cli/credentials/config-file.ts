/**
 * Docker's own file of credentials, `~/.docker/config.json` or `config.json` in DOCKER_CONFIG: what docker knows,
 * hull knows, and the other way round. What this does not know of stays in the file as it is.
 * Source: docker/cli, cli/config/configfile.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import { messageOf } from "../../contract/errors.ts";

const entrySchema = v.looseObject({
  auth: v.nullish(v.string(), ""),
  username: v.nullish(v.string(), ""),
  password: v.nullish(v.string(), ""),
  identitytoken: v.nullish(v.string(), ""),
  registrytoken: v.nullish(v.string(), ""),
});
export type ConfigEntry = v.InferOutput<typeof entrySchema>;

const configSchema = v.looseObject({
  auths: v.nullish(dictionary(v.looseObject({})), {}),
  credsStore: v.nullish(v.string(), ""),
  credHelpers: v.nullish(dictionary(v.string()), {}),
});
export type DockerConfig = v.InferOutput<typeof configSchema>;

export function configPath(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const directory = environment.DOCKER_CONFIG ?? "";
  return join(directory === "" ? join(homedir(), ".docker") : directory, "config.json");
}

/** An absent file is an empty one. */
export async function readConfig(path: string): Promise<DockerConfig> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT")
      return v.parse(configSchema, {});
    throw new Error(`cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    return v.parse(configSchema, text.trim() === "" ? {} : JSON.parse(text));
  } catch (error) {
    throw new Error(`${path} is no configuration of docker: ${messageOf(error)}`, { cause: error });
  }
}

export function entryOf(config: DockerConfig, address: string): ConfigEntry | undefined {
  const { auths } = config;
  if (Object.hasOwn(auths, address)) return v.parse(entrySchema, auths[address]);
  // Old versions wrote addresses in other ways.
  const host = hostOf(address);
  const key = Object.keys(auths).find((other) => hostOf(other) === host);
  return key === undefined ? undefined : v.parse(entrySchema, auths[key]);
}

/** `https://index.docker.io/v1/` has the host `index.docker.io`. */
export function hostOf(address: string): string {
  return address.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}

/** Sets or, with undefined, removes the entry of an address. */
export async function writeEntry(
  path: string,
  address: string,
  entry: Readonly<Record<string, string>> | undefined,
): Promise<void> {
  const config = await readRaw(path);
  const auths: Record<string, unknown> = { ...v.parse(configSchema, config).auths };
  const host = hostOf(address);
  for (const key of Object.keys(auths)) if (hostOf(key) === host) delete auths[key];
  if (entry !== undefined) auths[address] = entry;
  await writeWhole(path, `${JSON.stringify({ ...config, auths }, undefined, "\t")}\n`);
}

async function readRaw(path: string): Promise<Record<string, unknown>> {
  // Checked first, so that a file that is no configuration is never written over.
  await readConfig(path);
  const text = await readFile(path, "utf8").catch(() => "");
  return text.trim() === "" ? {} : v.parse(dictionary(v.unknown()), JSON.parse(text));
}

/** All or nothing, and for its owner's eyes. A link stays a link. */
async function writeWhole(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const target = await realpath(path).catch(() => path);
    const mode = await stat(target).then(
      (status) => status.mode & 0o777,
      () => 0o600,
    );
    const scratch = `${target}.${randomUUID()}`;
    try {
      await writeFile(scratch, text, { mode, flag: "wx" });
      await rename(scratch, target);
    } catch (error) {
      await rm(scratch, { force: true });
      throw error;
    }
  } catch (error) {
    throw new Error(`cannot write ${path}: ${messageOf(error)}`, { cause: error });
  }
}
