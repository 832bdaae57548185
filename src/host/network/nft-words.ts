/** Numbers of nftables' netlink messages: linux/netfilter/nf_tables.h and nfnetlink.h. */

/** NFPROTO_… */
export const nftFamily = { inet: 1, bridge: 7 } as const;

const subsystem = 10;
const typeOf = (message: number): number => (subsystem << 8) | message;

export const nftMessage = {
  /** NETLINK_NETFILTER */
  protocol: 12,
  /** NFNL_SUBSYS_NFTABLES */
  subsystem,
  newElements: typeOf(12),
  getElements: typeOf(13),
  deleteElements: typeOf(14),
  getGeneration: typeOf(16),
  batchBegin: 16,
  batchEnd: 17,
} as const;

/** NFTA_SET_ELEM_LIST_…, NFTA_LIST_ELEM, NFTA_SET_ELEM_… and NFTA_DATA_VALUE. */
export const setElement = {
  listTable: 1,
  listSet: 2,
  elements: 3,
  listed: 1,
  key: 1,
  timeout: 4,
  expiration: 5,
  value: 1,
} as const;
