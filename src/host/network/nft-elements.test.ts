import { expect, test } from "bun:test";
import { errnoNameOf } from "../system-error.ts";
import { runNft } from "./nft.ts";
import { interfaceKey, keyBytes, NftElements, type SetPlace } from "./nft-elements.ts";

const table = "hull-elementstest";
const address = (last: number): Buffer => Buffer.of(10, 0, 0, last);

test("elements come and go by themselves, all of a change or none, and say how long they stay", async () => {
  const script = `table inet ${table} {
    set plain { type ipv4_addr; flags timeout; }
    set pairs { type ifname . ether_addr; elements = { "one" . 02:00:00:00:00:01 } }
  }\n`;
  await runNft(script);
  using elements = new NftElements();
  const plain: SetPlace = { family: "inet", table, set: "plain" };
  const pairs: SetPlace = { family: "inet", table, set: "pairs" };
  try {
    const many = Array.from({ length: 900 }, (_, index) => ({
      key: [Buffer.of(10, 1, index >> 8, index & 255)],
    }));
    elements.change([{ ...plain, do: "add", elements: [{ key: [address(1)], timeout: 60_000 }, ...many] }]);
    const listed = elements.list(plain);
    expect(listed).toHaveLength(901);
    const kept = listed.find(({ key }) => key.equals(address(1)));
    expect(kept?.expires).toBeGreaterThan(0);
    expect(kept?.expires).toBeLessThanOrEqual(60_000);

    // nft's own element, under the key that is written here.
    const key = [interfaceKey("one"), Buffer.from("020000000001", "hex")];
    expect(elements.list(pairs)).toEqual([{ key: keyBytes(key), expires: undefined }]);
    elements.change([
      { ...pairs, do: "delete", elements: [{ key }, { key: [interfaceKey("absent"), Buffer.alloc(6)] }] },
    ]);
    expect(elements.list(pairs)).toEqual([]);

    const refused = (): void =>
      elements.change([
        { ...pairs, do: "add", elements: [{ key }] },
        { ...pairs, set: "absent", do: "add", elements: [{ key }] },
      ]);
    let code: string | undefined;
    try {
      refused();
    } catch (error) {
      code = errnoNameOf(error);
    }
    expect([code, elements.list(pairs)]).toEqual(["ENOENT", []]);
    expect(elements.list({ ...pairs, table: "absent" })).toEqual([]);
  } finally {
    await runNft(`delete table inet ${table}\n`);
  }
});
