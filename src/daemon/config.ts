/**
 * The daemon's configuration: a JSON file (by default /etc/hull/config.json), with the command line above it and
 * defaults below. Unknown keys are refused, so that a misspelt one is not silently without effect.
 */
import { readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import * as v from "valibot";
import { defaults } from "../contract/defaults.ts";
import { dictionary } from "../contract/dictionary.ts";
import { HullError, messageOf } from "../contract/errors.ts";
import { parseSubnet } from "../network/addresses/address.ts";
import { registriesSchema } from "./registries.ts";

const path = v.pipe(v.string(), v.check(isAbsolute, "it needs to be an absolute path"));
const program = v.pipe(v.string(), v.nonEmpty());

const containerSchema = v.strictObject({
  /** The OCI runtime of the container wall and of the VM's jail: a name in PATH, or a path. */
  runtime: v.optional(program, "crun"),
  /** The monitor that watches each container. */
  conmon: v.optional(program, "conmon"),
  /** System call filter, in the format of Docker and containers-common. Empty: no filter. */
  seccompProfile: v.optional(v.union([v.literal(""), path]), "/usr/share/containers/seccomp.json"),
});

const vmSchema = v.strictObject({
  /** The machine emulator: a name in PATH, or a path. */
  qemu: v.optional(program, `qemu-system-${process.arch === "arm64" ? "aarch64" : "x86_64"}`),
  /** Directory with the guest's kernel and initramfs, as `./setup` makes them. Empty: looked for. */
  guest: v.optional(v.union([v.literal(""), path]), ""),
  /** Refuses to run virtual machines without KVM, whose emulation is no security boundary. */
  requireKvm: v.optional(v.boolean(), false),
  /** Starts virtual machines as copies of one that was booted once. Otherwise each boots. */
  templates: v.optional(v.boolean(), true),
  /** Machines of the default size that wait for an image, so that a workload finds one that is there already. */
  pool: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(64)), 0),
});

const networkSchema = v.strictObject({
  /** Name of the default network's bridge. By default hull0, or another for another root. */
  bridge: v.optional(v.pipe(v.string(), v.regex(/^[\w.-]{1,15}$/, "it is no name of an interface"))),
  /** Where subnets are taken from: `size` leading bits each, out of `base`. The first is the default network's. */
  pools: v.optional(
    v.array(
      v.pipe(
        v.strictObject({ base: v.string(), size: v.pipe(v.number(), v.integer()) }),
        v.check(({ base, size }) => {
          const subnet = parseSubnet(base);
          return subnet !== undefined && subnet.family === 4 && size >= subnet.length && size <= 30;
        }, 'write it as {"base": "172.30.0.0/15", "size": 24}'),
      ),
    ),
    [],
  ),
});

const schema = v.strictObject({
  /** State that outlives a reboot: images, records, writable layers, logs. */
  root: v.optional(path, defaults.root),
  /** State that does not: sockets, mounts, bundles. Keep it short: unix sockets take 107 bytes. */
  state: v.optional(path),
  /** The Docker Engine API. By default hull.sock in `state`. */
  socket: v.optional(path),
  /** Group that may use the socket, besides root: a name or a number. Whoever may, is root on this host. */
  socketGroup: v.optional(v.union([v.pipe(v.string(), v.nonEmpty()), v.pipe(v.number(), v.integer())])),
  /** Least important messages to log: debug, info, warn or error. */
  logLevel: v.optional(v.picklist(["debug", "info", "warn", "error"]), "info"),
  container: v.optional(containerSchema, {}),
  network: v.optional(networkSchema, {}),
  vm: v.optional(vmSchema, {}),
  registries: v.optional(registriesSchema, {}),
});

export type Config = Omit<v.InferOutput<typeof schema>, "state" | "socket"> & {
  readonly state: string;
  readonly socket: string;
};

/** What the command line says. */
export interface DaemonOptions {
  readonly root?: string | undefined;
  readonly state?: string | undefined;
  readonly socket?: string | undefined;
  readonly config?: string | undefined;
}

export function loadConfig(options: DaemonOptions): Config {
  const file = options.config ?? defaults.config;
  const value = readConfig(file, options.config !== undefined);
  const given = { root: options.root, state: options.state, socket: options.socket };
  const parsed = v.safeParse(schema, { ...value, ...withoutUndefined(given) }, { abortEarly: true });
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new HullError("invalidParameter", {
      what: `configuration (${file})`,
      value: v.getDotPath(issue) ?? "",
      why: issue.message,
    });
  }
  const { output } = parsed;
  const state = output.state ?? defaults.state;
  return { ...output, state, socket: output.socket ?? `${state}/hull.sock` };
}

const fileSchema = dictionary(v.unknown());

function readConfig(file: string, required: boolean): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (!required && error instanceof Error && "code" in error && error.code === "ENOENT") return {};
    throw new HullError(
      "invalidParameter",
      { what: "configuration file", value: file, why: messageOf(error) },
      { cause: error },
    );
  }
  try {
    return v.parse(fileSchema, JSON.parse(text));
  } catch (error) {
    throw new HullError(
      "corrupt",
      { what: `the configuration file ${file}`, why: messageOf(error) },
      { cause: error },
    );
  }
}

function withoutUndefined(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) if (value !== undefined) kept[name] = value;
  return kept;
}
