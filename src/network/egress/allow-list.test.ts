import { expect, test } from "bun:test";
import { HullError } from "../../contract/errors.ts";
import { allowsName, canonicalList, parseAllowed } from "./allow-list.ts";

test("destinations are names, patterns, addresses and subnets, with ports and protocols", () => {
  const words = [
    ...["Deb.Example.ORG.", "*.example.org:443", "10.0.0.0/8:53/udp", "192.0.2.1", "192.0.2.1/32"],
    ...[
      "[2001:DB8:0::1]:22/tcp",
      "2001:db8::/32",
      "2001:db8::1/icmp",
      "registry:5000-5010",
      "_srv.example/tcp",
    ],
  ];
  expect(canonicalList(words)).toEqual([
    ...["deb.example.org", "*.example.org:443", "10.0.0.0/8:53/udp", "192.0.2.1"],
    ...[
      "[2001:db8::1]:22/tcp",
      "2001:db8::/32",
      "2001:db8::1/icmp",
      "registry:5000-5010",
      "_srv.example/tcp",
    ],
  ]);
  // What is shown can be given again.
  expect(canonicalList(canonicalList(words))).toEqual(canonicalList(words));
});

test("what is no destination is refused, with what it should be", () => {
  const wrong = [
    ...[
      "",
      "*",
      "a.*.b",
      "*example.org",
      "exa mple",
      "example.org:0",
      "example.org:99999",
      "example.org:9-8",
    ],
    ...["10.0.0.1/8", "10.0.0.0/33", "300.1.1.1", "1.2.3", "example.org:80/icmp", "example.org/gre"],
    ...["ex\u00e4mple.org", "[2001:db8::1", "a..b", "-a.example", "http://example.org", "a;drop", 'a"b'],
  ];
  expect(wrong.filter((word) => refused(() => parseAllowed(word)))).toEqual(wrong);
  expect(() => canonicalList(Array.from({ length: 257 }, (_, index) => `host${index}`))).toThrow("256");
});

function refused(work: () => unknown): boolean {
  try {
    work();
    return false;
  } catch (error) {
    return error instanceof HullError && error.code === "invalidParameter";
  }
}

test("a pattern allows names below it only, and a name itself only", () => {
  const below = parseAllowed("*.example.org");
  const itself = parseAllowed("example.org");
  const names = [
    "example.org",
    "a.example.org",
    "a.b.example.org",
    "badexample.org",
    "example.org.evil.test",
  ];
  expect(names.filter((name) => allowsName(below, name))).toEqual(["a.example.org", "a.b.example.org"]);
  expect(names.filter((name) => allowsName(itself, name))).toEqual(["example.org"]);
});
