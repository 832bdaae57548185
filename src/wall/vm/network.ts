/** The workload's network and mounts in the words of the agent protocol. */
import { isIPv4, isIPv6 } from "node:net";
import type { NetworkInterface, NetworkRoute, SandboxMount, SandboxNetwork } from "../wall.ts";
import { networkCards } from "./arguments.ts";
import { FieldWriter } from "./fields.ts";

const kinds = { share: 0, tmpfs: 1 } as const;
const flags = { readOnly: 1, nosuid: 2, nodev: 4, noexec: 8, noatime: 16, nodiratime: 32 } as const;

/** The description of a network, for `setUp` and `setNetwork`. */
export function networkFields(network: SandboxNetwork | undefined): Buffer {
  const { interfaces, routes } = network ?? { interfaces: [], routes: [] };
  const places = interfaces.map(({ name }) => name);
  if (interfaces.length > networkCards) throw new RangeError(`a machine has ${networkCards} network cards`);
  const fields = new FieldWriter().u32(interfaces.length);
  interfaces.forEach((each, index) => {
    fields.u32(each.card ?? index).string(interfaceFields(each));
  });
  fields.u32(routes.length);
  for (const route of routes) {
    const index = places.indexOf(route.interface);
    fields.u32(interfaces[index]?.card ?? index).bytes(routeFields(route));
  }
  return fields.take();
}

function interfaceFields({ name, mac, mtu, addresses, sysctls }: NetworkInterface): Buffer {
  const fields = new FieldWriter()
    .string(name)
    .string(Buffer.from(mac.replaceAll(":", ""), "hex"))
    .u32(mtu ?? 0)
    .u32(addresses.length);
  for (const address of addresses) fields.bytes(addressFields(address));
  return fields.bytes(parameterFields(sysctls)).take();
}

function routeFields({ destination, gateway, metric }: NetworkRoute): Buffer {
  const fields = new FieldWriter().bytes(addressFields(destination));
  if (gateway === undefined) fields.u32(0).u8(0);
  else fields.bytes(addressFields(gateway));
  return fields.u32(metric ?? 0).take();
}

/** Kernel parameters as the agent takes them: names are paths below /proc/sys. */
export function parameterFields(sysctls: Readonly<Record<string, string>> = {}): Buffer {
  const entries = Object.entries(sysctls);
  const fields = new FieldWriter().u32(entries.length);
  for (const [name, value] of entries) fields.string(parameterPath(name)).string(value);
  return fields.take();
}

/** Dots and slashes change their roles when the first of them is a slash (sysctl(8)). */
function parameterPath(name: string): string {
  if (/^[^./]*\//.test(name)) return name;
  return name.replaceAll(/[./]/g, (separator) => (separator === "." ? "/" : "."));
}

/** Options of the mount, not of the file system on it. The last word counts, as with mount(8). */
const mountWords = ["nosuid", "nodev", "noexec", "noatime", "nodiratime"] as const;

function opposite(word: (typeof mountWords)[number]): string {
  return word.slice("no".length);
}

export function mountFields(mounts: readonly SandboxMount[] = []): Buffer {
  const fields = new FieldWriter().u32(mounts.length);
  let shares = 0;
  for (const { type, target, readOnly, options } of mounts) {
    const set = mountWords.filter((word) => options.lastIndexOf(word) > options.lastIndexOf(opposite(word)));
    const mask = set.reduce((sum, option) => sum | flags[option], readOnly ? flags.readOnly : 0);
    // The jail has bound the mounts of the host below the share, in their order.
    const source = type === "bind" ? String(shares++) : "";
    const ofMount = ["ro", "rw", ...mountWords, ...mountWords.map(opposite)];
    const data = options.filter((option) => !ofMount.includes(option));
    fields
      .u8(type === "bind" ? kinds.share : kinds.tmpfs)
      .string(source)
      .string(target)
      .u32(mask)
      .string(type === "tmpfs" ? data.join(",") : "");
  }
  return fields.take();
}

/** `address/prefix`; without a prefix the address alone. Throws on what is none. */
function addressFields(text: string): Buffer {
  const [address = "", prefix] = text.split("/");
  const bytes = bytesOf(address);
  return new FieldWriter()
    .string(bytes)
    .u8(prefix === undefined ? bytes.length * 8 : Number(prefix))
    .take();
}

function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  if (!isIPv6(address)) throw new TypeError(`${address} is no address`);
  // The canonical form has no dotted tail and at most one gap.
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const [head = [], tail = []] = groups.map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => "0");
  const all = [...head, ...zeros, ...tail].map((group) => group.padStart(4, "0"));
  return Buffer.from(all.join(""), "hex");
}
