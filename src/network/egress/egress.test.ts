import { describe, expect, test } from "bun:test";
import { silentLogger } from "../../contract/logger.ts";
import { listTable, runNft } from "../../host/network/nft.ts";
import { NftElements } from "../../host/network/nft-elements.ts";
import { answer, encodeName, parseQuery, recordType } from "../dns/message.ts";
import { Firewall } from "../firewall/firewall.ts";
import { parseAllowed } from "./allow-list.ts";
import { Egress } from "./egress.ts";
import { egressRuleset, type Restriction, setsOf } from "./rules.ts";

const restriction: Restriction = {
  id: "ab".repeat(32),
  sources: [
    { bridge: "hull0", address: "172.17.0.2" },
    { bridge: "hull0", address: "fe80::42:acff:fe11:2" },
  ],
  resolvers: ["172.17.0.1"],
  hostAddresses: ["172.17.0.1"],
  allowed: [
    "one.example:443/tcp",
    "*.pool.example",
    "host.docker.internal:80",
    "10.0.0.0/8",
    "fd00::/8/icmp",
  ].map(parseAllowed),
};

/** An answer with these addresses, to be kept for `ttl` seconds. */
function answerWith(addresses: readonly (readonly number[])[], ttl: number): Buffer {
  const head = Buffer.from([1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const message = Buffer.concat([head, encodeName("x"), Buffer.from([0, 1, 0, 1])]);
  const query = parseQuery(message);
  if (query === undefined) throw new Error("the query was not read");
  const records = addresses.map((bytes) => ({
    type: bytes.length === 4 ? recordType.a : recordType.aaaa,
    data: Buffer.from(bytes),
  }));
  return answer(message, query, records, { ttl, limit: 65_535 });
}

const far = [203, 0, 113, 9];
const six = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];

describe("what names lead to", () => {
  test("may be reached with the reach of the name, for as long as the answer says, within bounds", () => {
    let now = 0;
    const egress = new Egress(() => now);
    egress.put(restriction);
    const [tcp4, , any4, any6] = setsOf(restriction);
    if (tcp4 === undefined || any4 === undefined || any6 === undefined) throw new Error("a set is missing");
    const { id } = restriction;
    expect(egress.learn(id, "one.example", answerWith([far, six], 5))).toEqual([
      { set: tcp4.set, address: Buffer.from(far), timeout: 60_000 },
      { set: tcp4.set.replace(/4$/, "6"), address: Buffer.from(six), timeout: 60_000 },
    ]);
    expect(egress.learn(id, "a.pool.example", answerWith([six], 1e6))).toEqual([
      { set: any6.set, address: Buffer.from(six), timeout: 3_600_000 },
    ]);
    // Once more at once is nothing new.
    expect(egress.learn(id, "one.example", answerWith([far], 5))).toEqual([]);
    expect(egress.granted(restriction, tcp4)).toEqual([["203.0.113.9", 60_000]]);
    expect(egress.granted(restriction, any4)).toEqual([]);
    now = 60_000;
    expect(egress.granted(restriction, tcp4)).toEqual([]);
    expect(egress.granted(restriction, any6)).toEqual([["2001:db8::9", 3_540_000]]);
  });

  test("is never this host, its links or a group, whoever answers", () => {
    const egress = new Egress();
    egress.put(restriction);
    const own = [
      ...[
        [127, 0, 0, 1],
        [0, 0, 0, 0],
        [169, 254, 169, 254],
        [224, 0, 0, 1],
        [255, 255, 255, 255],
      ],
      ...[
        [...new Array<number>(15).fill(0), 1],
        [0xfe, 0x80, ...new Array<number>(14).fill(1)],
      ],
    ];
    expect(egress.learn(restriction.id, "a.pool.example", answerWith(own, 60))).toEqual([]);
  });

  test("is forgotten when the list has the name no more, and bounded", () => {
    const egress = new Egress();
    egress.put(restriction);
    const { id } = restriction;
    egress.learn(id, "one.example", answerWith([far], 60));
    egress.learn(id, "a.pool.example", answerWith([far], 60));
    const changed = { ...restriction, allowed: [parseAllowed("*.pool.example")] };
    egress.put(changed);
    const [any4] = setsOf(changed);
    if (any4 === undefined) throw new Error("a set is missing");
    expect(egress.granted(changed, any4).map(([address]) => address)).toEqual(["203.0.113.9"]);
    expect([egress.mayAsk(id, "one.example"), egress.mayAsk(id, "b.pool.example")]).toEqual([false, true]);
    expect(egress.mayAsk("another", "one.example")).toBe(true);
    for (let part = 0; part < 17; part += 1) {
      const many = Array.from({ length: 250 }, (_, index) => [203, 1, part, index]);
      const grants = egress.learn(id, `${part}.pool.example`, answerWith(many, 60));
      expect(grants === undefined).toBe(part === 16);
    }
  });
});

test("the rules are what nft takes, and what was learned outlives the daemon in the kernel's sets", async () => {
  const table = "hull-egresstest";
  const egress = new Egress();
  egress.put(restriction);
  const facts = { bridges: [], redirects: [], forwardingIsOurs: [] };
  const options = { table, facts: () => facts, forgetFlows: () => {}, log: silentLogger };
  const firewall = new Firewall({ ...options, egress });
  try {
    await firewall.establish();
    const text = (await listTable("inet", `${table}-egress`)) ?? "";
    expect(text).toContain('iifname . ip saddr vmap { "hull0" . 172.17.0.2 : jump w-abababababab }');
    for (const rule of [
      "10.0.0.0/8 return",
      "reject with tcp reset",
      "reject with icmpx admin-prohibited",
      "ct original ip daddr 172.17.0.1",
    ])
      expect(text).toContain(rule);
    const grants = egress.learn(restriction.id, "one.example", answerWith([far], 300)) ?? [];
    await firewall.permit(grants);
    // Once more, with a longer life.
    await firewall.permit(grants.map((grant) => ({ ...grant, timeout: 600_000 })));
    using elements = new NftElements();
    const [tcp4] = setsOf(restriction);
    if (tcp4 === undefined) throw new Error("a set is missing");
    const listed = elements.list({ family: "inet", table: `${table}-egress`, set: tcp4.set });
    expect(listed.map(({ key }) => [...key])).toEqual([far]);
    expect(listed[0]?.expires).toBeGreaterThan(300_000);

    const next = new Egress();
    next.put(restriction);
    const successor = new Firewall({ ...options, egress: next });
    successor.adopt(restriction);
    expect(next.granted(restriction, tcp4).map(([address]) => address)).toEqual(["203.0.113.9"]);
    await successor.establish();
    expect(await listTable("inet", `${table}-egress`)).toContain("203.0.113.9 timeout");
    // Taken away by somebody else, it is put back by whoever needs it next.
    await runNft(`delete table inet ${table}-egress\n`);
    await successor.permit(grants);
    expect(await listTable("inet", `${table}-egress`)).toContain("203.0.113.9 timeout");
    successor.close();
  } finally {
    await firewall.remove();
    firewall.close();
  }
  expect(await listTable("inet", `${table}-egress`)).toBeUndefined();
  expect(egressRuleset(table, [], () => [])).not.toContain("chain");
});

test("a change leaves what the other workloads have, and comes to what the whole would", async () => {
  const table = "hull-changetest";
  const named = `${table}-egress`;
  const egress = new Egress();
  const facts = { bridges: [], redirects: [], forwardingIsOurs: [] };
  const options = { table, facts: () => facts, forgetFlows: () => {}, log: silentLogger, egress };
  const firewall = new Firewall(options);
  const other: Restriction = {
    ...restriction,
    id: "cd".repeat(32),
    sources: [{ bridge: "hull-other", address: "172.18.0.2" }],
  };
  const parts = async (): Promise<string[]> =>
    ((await listTable("inet", named, true)) ?? "")
      .split(/^\t(?=chain|set)/m)
      .map((part) => part.replace(/[\s}]*$/, ""))
      .toSorted();
  /** The table as a change has it, and as it is when all of it is written anew. */
  const bothWays = async (): Promise<[string[], string[]]> => {
    await firewall.restrict();
    const changed = await parts();
    await firewall.establish();
    return [changed, await parts()];
  };
  try {
    egress.put(restriction);
    await firewall.establish();
    await firewall.permit(egress.learn(restriction.id, "one.example", answerWith([far], 300)) ?? []);
    // What only the kernel knows shows that a set was left alone.
    const [tcp4] = setsOf(restriction);
    if (tcp4 === undefined) throw new Error("a set is missing");
    await runNft(`add element inet ${named} ${tcp4.set} { 203.0.113.99 timeout 300s }\n`);
    egress.put(other);
    await firewall.restrict();
    egress.put({ ...other, allowed: [parseAllowed("*.other.example"), parseAllowed("192.0.2.0/24")] });
    await firewall.restrict();
    const text = (await listTable("inet", named)) ?? "";
    for (const part of ["203.0.113.99", '"hull-other" . 172.18.0.2 : jump w-cdcdcdcdcdcd', "192.0.2.0/24"])
      expect(text).toContain(part);
    const [changed, whole] = await bothWays();
    expect(changed).toEqual(whole);
    egress.delete(restriction.id);
    const [without, wholeWithout] = await bothWays();
    expect(without).toEqual(wholeWithout);
    expect(without.join()).not.toContain("w-abababababab");
    // A table that somebody took away is written as a whole.
    egress.put(restriction);
    await runNft(`delete table inet ${named}\n`);
    const [again, wholeAgain] = await bothWays();
    expect(again).toEqual(wholeAgain);
    egress.delete(restriction.id);
    egress.delete(other.id);
    await firewall.restrict();
    expect(await listTable("inet", named)).toBeUndefined();
  } finally {
    await firewall.remove();
    firewall.close();
  }
});
