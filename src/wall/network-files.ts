/** The files of /etc that say who and where a workload is, for both walls. Docker makes them anew for each run, too. */

export function hostsFile(hostname: string): string {
  return [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "ff00::\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
    ...(hostname === "" ? [] : [`127.0.1.1\t${hostname}`]),
    "",
  ].join("\n");
}

/** The host's resolv.conf without the servers that only the host itself can reach. */
export function resolverFile(hostFile: string): string {
  const lines = hostFile.split("\n").filter((line) => !/^\s*nameserver\s+(127\.|::1\b)/.test(line));
  return `${lines.join("\n").trimEnd()}\n`;
}
