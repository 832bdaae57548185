/** Options of networks and of endpoints, in Docker's words; one that nothing acts on is refused. */
import { HullError } from "../../contract/errors.ts";
import { longestName } from "../../host/network/links.ts";
import { parseAddress } from "../addresses/address.ts";
import type { NetworkRecord } from "../records/types.ts";

const switches = [
  "com.docker.network.bridge.enable_ip_masquerade",
  "com.docker.network.bridge.enable_icc",
  "com.docker.network.bridge.default_bridge",
] as const;
const mtu = "com.docker.network.driver.mtu";
const bridgeName = "com.docker.network.bridge.name";
const hostAddress = "com.docker.network.bridge.host_binding_ipv4";

type OptionName = (typeof switches)[number] | typeof mtu | typeof bridgeName | typeof hostAddress;

const knownOptions: readonly string[] = [...switches, mtu, bridgeName, hostAddress];

export function option(network: NetworkRecord, name: OptionName): string | undefined {
  return network.options[name];
}

/** The kernel has no IPv6 on an interface whose packets are smaller than IPv6's smallest. */
const leastMtu6 = 1280;

/** Throws `invalidParameter`. */
export function checkOptions(options: Readonly<Record<string, string>>, ipv6: boolean): void {
  for (const [name, value] of Object.entries(options)) {
    const wrong = (why: string): never => {
      throw new HullError("invalidParameter", { what: `network option ${name}`, value, why });
    };
    if (!knownOptions.includes(name)) wrong(`there is none of that name: use ${knownOptions.join(", ")}`);
    if (switches.some((known) => known === name) && parseSwitch(value) === undefined)
      wrong("use true or false");
    if (name === mtu && !(/^\d+$/.test(value) && Number(value) >= 68 && Number(value) <= 65_535))
      wrong("use a number of bytes from 68 to 65535");
    if (name === mtu && ipv6 && Number(value) < leastMtu6)
      wrong(`a network with IPv6 has ${leastMtu6} bytes at least`);
    if (name === bridgeName && !(/^[\w.-]+$/.test(value) && value.length <= longestName))
      wrong(`use at most ${longestName} letters, digits, dots and dashes`);
    // The kernel's settings of these names are for all interfaces.
    if (name === bridgeName && [".", "..", "all", "default"].includes(value))
      wrong("the kernel means something else by it");
    if (name === hostAddress && parseAddress(value)?.family !== 4) wrong("use an IPv4 address of the host");
  }
}

export function isOn(value: string | undefined, initial: boolean): boolean {
  return value === undefined ? initial : (parseSwitch(value) ?? initial);
}

export function mtuOf(network: NetworkRecord): number | undefined {
  const value = option(network, mtu);
  return value === undefined ? undefined : Number(value);
}

function parseSwitch(value: string): boolean | undefined {
  if (["true", "1", "t", "T", "TRUE", "True"].includes(value)) return true;
  return ["false", "0", "f", "F", "FALSE", "False"].includes(value) ? false : undefined;
}
