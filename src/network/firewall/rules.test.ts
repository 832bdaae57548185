import { describe, expect, test } from "bun:test";
import { makeNetworkNamespace } from "../../host/network/namespace.ts";
import { run } from "../../host/spawn.ts";
import { noTable, type Redirect, type RuleFacts, redirectChange, ruleset } from "./rules.ts";

const facts: RuleFacts = {
  table: "hull-test",
  bridges: [
    {
      ...{ name: "hull0", group: 1_000, internal: false, masquerade: true, subnets4: ["172.17.0.0/16"] },
      ...{ subnets6: ["fd00::/64"], gateways4: ["172.17.0.1"], gateways6: ["fd00::1"], resolverPort: 5353 },
    },
    {
      ...{
        name: "hull-inner",
        group: 1_001,
        internal: true,
        masquerade: true,
        subnets4: ["10.9.0.0/24"],
        subnets6: [],
      },
      ...{ gateways4: ["10.9.0.1"], gateways6: [] },
    },
  ],
  redirects: [],
  forwardingIsOurs: [4],
};

function redirect(hostAddress: string, hostPort: number, address: string): Redirect {
  return { bound: { protocol: "tcp", port: 80, hostAddress, hostPort }, address };
}

const redirects: Redirect[] = [
  redirect("0.0.0.0", 8080, "172.17.0.2"),
  redirect("127.0.0.1", 8081, "172.17.0.2"),
  redirect("::", 8080, "fd00::2"),
  redirect("fd00::1", 8082, "fd00::2"),
];

/** Hands scripts to nft in a name space of their own; prints the table as it then is. */
async function tableAfter(...scripts: readonly string[]): Promise<string> {
  using namespace = makeNetworkNamespace();
  let stdout = "";
  for (const script of [...scripts, "list ruleset"]) {
    const result = await run(["nsenter", `--net=${namespace.path}`, "nft", script]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    ({ stdout } = result);
  }
  return stdout;
}

describe("the rules", () => {
  test("are what nft takes, once and again", async () => {
    const script = ruleset({ ...facts, redirects });
    const table = await tableAfter(script, script);
    expect(table).toMatch(/set bridges \{\s+type ifname\s+elements = \{ "hull0",\s+"hull-inner" \}/);
    expect(table).toContain("elements = { tcp . 8080 : 172.17.0.2 . 80 }");
    expect(table).toContain("elements = { 127.0.0.1 . tcp . 8081 : 172.17.0.2 . 80 }");
    expect(table).toContain("elements = { 172.17.0.1 : 5353 }");
    expect(table).toMatch(/elements = \{ 1000 \. 1000,\s+1001 \. 1001 \}/);
  });

  test("ports come and go by themselves, and one that is not there may go", async () => {
    const without = await tableAfter(ruleset(facts));
    const [first, ...others] = redirects;
    if (first === undefined) throw new Error("there are no ports");
    const added = await tableAfter(ruleset(facts), redirectChange("hull-test", "add", redirects));
    expect(added).toContain("tcp . 8080 : fd00::2 . 80");
    const removed = await tableAfter(
      ruleset({ ...facts, redirects: others }),
      redirectChange("hull-test", "delete", [first]),
      redirectChange("hull-test", "delete", others),
    );
    expect(removed).toBe(without);
  });

  test("let nobody on a network pass for somebody elsewhere before the host", async () => {
    using host = makeNetworkNamespace();
    using inside = makeNetworkNamespace();
    const at = async (namespace: { readonly path: string }, script: string): Promise<string> => {
      const result = await run(["nsenter", `--net=${namespace.path}`, "bash", "-ec", script]);
      expect(result).toMatchObject({ code: 0, stderr: "" });
      return result.stdout;
    };
    await at(
      host,
      `nft '${ruleset(facts)}'; ip link add hull0 type veth peer name eth0 netns ${inside.path}`,
    );
    await at(
      host,
      "ip addr add 172.17.0.1/16 dev hull0; ip addr add fd00::1/64 dev hull0 nodad; ip link set hull0 up",
    );
    await at(
      host,
      "nft 'table inet seen { chain seen { type filter hook input priority 10; udp dport 9 counter; }; }'",
    );
    await at(
      inside,
      `ip link set eth0 up; ip addr add 172.17.0.2/16 dev eth0; ip addr add fd00::2/64 dev eth0 nodad
       ip addr add 192.0.2.7/32 dev eth0; ip addr add 2001:db8::7/128 dev eth0 nodad
       say() { ip route replace $2 dev eth0 src $1; echo x >/dev/udp/$2/9; }
       say 172.17.0.2 172.17.0.1; say 192.0.2.7 172.17.0.1; say fd00::2 fd00::1; say 2001:db8::7 fd00::1`,
    );
    expect(await at(host, "nft list table inet seen")).toContain("counter packets 2 ");
  });

  test("take nothing away but their own table", async () => {
    const other = "table inet other { chain c { tcp dport 1 accept; }; }";
    expect(await tableAfter(other, ruleset(facts), noTable("hull-test"))).toBe(await tableAfter(other));
  });

  test("keep what does not concern Hull where it is, if Hull made the host a router", () => {
    const still = (family: number): string =>
      `meta nfproto ipv${family} iifname != @bridges iifname != "hull*" meta iifkind != "bridge" drop`;
    expect(ruleset(facts)).toContain(still(4));
    expect(ruleset(facts)).not.toContain(still(6));
    expect(ruleset({ ...facts, forwardingIsOurs: [] })).not.toContain(still(4));
  });
});
