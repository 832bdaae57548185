import { describe, expect, test } from "bun:test";
import { AnswerCache } from "./cache.ts";
import { answer, encodeName, parseQuery, recordsOf, recordType, reverseAddress } from "./message.ts";

function queryFor(name: string, type: number = recordType.a, more: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, more.length > 0 ? 1 : 0]);
  return Buffer.concat([header, encodeName(name), Buffer.from([0, type, 0, 1]), more]);
}

/** An OPT record that says how much the client takes by UDP. */
const edns = Buffer.from([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);

describe("queries", () => {
  test("are read, in any case of letters, with what the client takes", () => {
    expect(parseQuery(queryFor("Web.Example"))).toMatchObject({
      ...{ id: 0x1234, name: "web.example", type: 1, recursionDesired: true, udpBytes: 512 },
    });
    expect(parseQuery(queryFor("web", recordType.aaaa, edns))).toMatchObject({ type: 28, udpBytes: 4096 });
  });

  test("that are none, or hostile, are not", () => {
    const good = queryFor("web");
    expect(parseQuery(Buffer.alloc(3))).toBeUndefined();
    expect(parseQuery(good.subarray(0, good.length - 1))).toBeUndefined();
    const reply = Buffer.from(good);
    reply[2] = 0x81;
    expect(parseQuery(reply)).toBeUndefined();
    // A name that points at itself, and one that points forward.
    for (const target of [12, 40])
      expect(
        parseQuery(Buffer.concat([good.subarray(0, 12), Buffer.from([0xc0, target, 0, 1, 0, 1])])),
      ).toBeUndefined();
    for (let length = 0; length < 200; length += 1)
      expect(() => parseQuery(Buffer.from(crypto.getRandomValues(new Uint8Array(length))))).not.toThrow();
  });

  test("for addresses name them", () => {
    expect(reverseAddress("2.0.17.172.in-addr.arpa")).toBe("172.17.0.2");
    const six = `2.${"0.".repeat(23)}0.0.0.0.0.0.d.f.ip6.arpa`;
    expect(reverseAddress(six)).toBe("fd00:0000:0000:0000:0000:0000:0000:0002");
    expect(reverseAddress("example.com")).toBeUndefined();
  });
});

describe("answers", () => {
  const message = queryFor("web");
  const query = parseQuery(message);
  if (query === undefined) throw new Error("the query was not read");
  const addresses = Array.from({ length: 40 }, (_, index) => ({
    type: 1,
    data: Buffer.from([10, 0, 0, index]),
  }));

  test("repeat the question and have all the records", () => {
    const reply = answer(message, query, addresses.slice(0, 3), { ttl: 5, limit: 512 });
    expect(reply.readUInt16BE(0)).toBe(0x1234);
    expect(recordsOf(reply)?.map(({ data, ttl }) => [data[3], ttl])).toEqual([
      [0, 5],
      [1, 5],
      [2, 5],
    ]);
  });

  test("that do not fit say so, so that the client asks by TCP", () => {
    const reply = answer(message, query, addresses, { ttl: 5, limit: 512 });
    expect(reply.length).toBeLessThanOrEqual(512);
    expect((reply[2] ?? 0) & 2).toBe(2);
    const whole = answer(message, query, addresses, { ttl: 5, limit: 65_535 });
    expect(recordsOf(whole)).toHaveLength(40);
    expect((whole[2] ?? 0) & 2).toBe(0);
  });

  test("are kept for as long as they say, and grow older", () => {
    const cache = new AnswerCache();
    cache.put("key", answer(message, query, addresses.slice(0, 1), { ttl: 60, limit: 512 }), 0);
    const kept = cache.get("key", 7, 10_000);
    expect(kept?.readUInt16BE(0)).toBe(7);
    expect(recordsOf(kept ?? Buffer.alloc(0))?.[0]?.ttl).toBe(50);
    expect(cache.get("key", 7, 60_000)).toBeUndefined();
    expect(cache.size).toBe(0);
  });

  test("are not kept without bound, and failures not at all", () => {
    const cache = new AnswerCache();
    const good = answer(message, query, addresses.slice(0, 1), { ttl: 60, limit: 512 });
    for (let index = 0; index < 5000; index += 1) cache.put(`key${index}`, good, 0);
    expect(cache.size).toBe(2048);
    expect(cache.get("key0", 1, 0)).toBeUndefined();
    expect(cache.get("key4999", 1, 0)).toBeDefined();
    cache.put("failed", answer(message, query, [], { code: 2, ttl: 60, limit: 512 }), 0);
    expect(cache.get("failed", 1, 0)).toBeUndefined();
  });
});
