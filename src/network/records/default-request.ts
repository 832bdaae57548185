/** What a workload that asks for nothing gets: the default network. */
import type { NetworkRequest } from "./types.ts";

export const defaultNetworkRequest: NetworkRequest = {
  mode: "default",
  endpoints: {},
  ports: [],
  publishAll: false,
  dns: [],
  dnsSearch: [],
  dnsOptions: [],
  extraHosts: [],
  domainname: "",
};
