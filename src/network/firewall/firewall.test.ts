import { expect, test } from "bun:test";
import { silentLogger } from "../../contract/logger.ts";
import { listTable, runNft } from "../../host/network/nft.ts";
import { Egress } from "../egress/egress.ts";
import { Firewall } from "./firewall.ts";

const table = "hull-firewalltest";
const facts = { bridges: [], redirects: [], forwardingIsOurs: [] };

test("a table that is wanted again while it is being taken away stands afterwards", async () => {
  const options = { table, facts: () => facts, egress: new Egress(), log: silentLogger };
  const firewall = new Firewall({ ...options, forgetFlows: () => {} });
  await firewall.establish();
  await Promise.all([firewall.remove(), firewall.establish()]);
  expect(firewall.stands).toBe(true);
  expect(await listTable("inet", table)).toContain("chain publish");
  const redirect = {
    bound: { protocol: "tcp", port: 80, hostAddress: "0.0.0.0", hostPort: 8080 },
    address: "172.17.0.2",
  } as const;
  await firewall.change("add", [redirect]);
  expect(await listTable("inet", table)).toContain("172.17.0.2 . 80");
  await firewall.remove();
  expect([firewall.stands, await listTable("inet", table)]).toEqual([false, undefined]);
  firewall.close();
});

test("ports that had one hardware address one after the other go without the tables being written anew", async () => {
  const options = { table, facts: () => facts, egress: new Egress(), log: silentLogger };
  const firewall = new Firewall({ ...options, forgetFlows: () => {} });
  try {
    await firewall.establish();
    const hardware = "02:42:ac:11:00:02";
    const addresses = ["172.17.0.2"];
    const links = ["hvfirst", "hvsecond"];
    await firewall.guard(links.map((link) => ({ link, hardware, addresses })));
    await runNft(`add chain inet ${table} witness`);
    await firewall.unguard(links);
    expect(await listTable("inet", table)).toContain("chain witness");
    expect(await listTable("bridge", table)).not.toContain(hardware);
  } finally {
    await firewall.remove();
    firewall.close();
  }
});
