import type { NetworkSubnet } from "../contract/docker.ts";
import { list, text, toggle, UsageError } from "./parse/options.ts";
import { labelsOf } from "./parse/values.ts";
import { visible } from "./print/visible.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "network create [OPTIONS] NAME",
  summary: "Makes a network.",
  flags: {
    driver: text("DRIVER", "There is one: bridge", "d"),
    internal: toggle("Without a way out"),
    attachable: toggle("Accepted for Docker's sake"),
    ipv6: toggle("With IPv6, too"),
    subnet: list("SUBNET", "Such as 172.30.0.0/16; one for each family"),
    gateway: list("ADDRESS", "The host's address on the network"),
    "ip-range": list("RANGE", "Part of the subnet that addresses are taken from"),
    "aux-address": list("NAME=ADDRESS", "Address that something else has"),
    opt: list("NAME=VALUE", "Option, such as com.docker.network.driver.mtu=1400", "o"),
    "ipam-opt": list("NAME=VALUE", "Option of the addresses, only shown"),
    label: list("NAME=VALUE", "Set a label"),
  },
  arguments: [1, 1],
  async action(context, { options, args: [name = ""] }) {
    const hull = await context.hull();
    const created = await hull.networks.create({
      Name: name,
      Driver: options.driver ?? "bridge",
      Internal: options.internal,
      Attachable: options.attachable,
      EnableIPv6: options.ipv6,
      Labels: labelsOf(options.label),
      Options: labelsOf(options.opt),
      IPAM: {
        Options: labelsOf(options["ipam-opt"]),
        Config: subnetsOf(options.subnet, {
          gateways: options.gateway,
          ranges: options["ip-range"],
          auxiliary: Object.entries(labelsOf(options["aux-address"])),
        }),
      },
    });
    if (created.Warning !== "") await context.stderr.line(`WARNING: ${visible(created.Warning)}`);
    await context.stdout.line(created.Id);
    return 0;
  },
});

interface Parts {
  readonly gateways: readonly string[];
  readonly ranges: readonly string[];
  readonly auxiliary: readonly (readonly [name: string, address: string])[];
}

/** What belongs to a subnet is found by the family; the daemon checks the rest. */
function subnetsOf(subnets: readonly string[], parts: Parts): NetworkSubnet[] {
  const families = subnets.map(isSix);
  if (new Set(families).size < families.length)
    throw new UsageError("a network has one subnet of each family: give --subnet once for each");
  const orphan = [...parts.gateways, ...parts.ranges, ...parts.auxiliary.map(([, address]) => address)].find(
    (address) => !families.includes(isSix(address)),
  );
  if (orphan !== undefined) throw new UsageError(`no --subnet has the address ${orphan}`);
  return subnets.map((subnet) => {
    const own = (address: string): boolean => isSix(address) === isSix(subnet);
    return {
      Subnet: subnet,
      Gateway: parts.gateways.find(own),
      IPRange: parts.ranges.find(own),
      AuxiliaryAddresses: Object.fromEntries(parts.auxiliary.filter(([, address]) => own(address))),
    };
  });
}

function isSix(address: string): boolean {
  return address.includes(":");
}
