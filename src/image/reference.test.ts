import { expect, test } from "bun:test";
import { isHullError } from "../contract/errors.ts";
import { canonicalName, formatReference, parseReference, useDefaultRegistry } from "./reference.ts";

const digest = `sha256:${"a".repeat(64)}` as const;

const good: readonly (readonly [
  text: string,
  domain: string,
  path: string,
  tag: string | undefined,
  shown: string,
])[] = [
  ["alpine", "docker.io", "library/alpine", "latest", "alpine:latest"],
  ["alpine:3.20", "docker.io", "library/alpine", "3.20", "alpine:3.20"],
  ["hull/tiny", "docker.io", "hull/tiny", "latest", "hull/tiny:latest"],
  ["docker.io/alpine", "docker.io", "library/alpine", "latest", "alpine:latest"],
  ["index.docker.io/library/alpine", "docker.io", "library/alpine", "latest", "alpine:latest"],
  ["docker.io/library/a/b", "docker.io", "library/a/b", "latest", "library/a/b:latest"],
  ["localhost/x", "localhost", "x", "latest", "localhost/x:latest"],
  ["localhost:5000/x", "localhost:5000", "x", "latest", "localhost:5000/x:latest"],
  ["localhost:5000/x:y", "localhost:5000", "x", "y", "localhost:5000/x:y"],
  [
    "127.0.0.1:5000/a/b-c_d__e.f:V-1",
    "127.0.0.1:5000",
    "a/b-c_d__e.f",
    "V-1",
    "127.0.0.1:5000/a/b-c_d__e.f:V-1",
  ],
  ["[::1]:5000/x", "[::1]:5000", "x", "latest", "[::1]:5000/x:latest"],
  ["Host/x", "Host", "x", "latest", "Host/x:latest"],
  [`alpine@${digest}`, "docker.io", "library/alpine", undefined, `alpine@${digest}`],
  [`alpine:3@${digest}`, "docker.io", "library/alpine", "3", `alpine:3@${digest}`],
];

for (const [text, domain, path, tag, shown] of good) {
  test(`${text} is ${domain}/${path}`, () => {
    const reference = parseReference(text);
    expect(reference).toMatchObject({ domain, path, tag });
    expect(formatReference(reference)).toBe(shown);
  });
}

const bad = [
  "",
  ":",
  "Alpine",
  "alpine:",
  "alpine:-x",
  `alpine:${"x".repeat(129)}`,
  "alpine@sha256:abc",
  "alpine@md5:abc",
  "a..b",
  "a/",
  "/a",
  "a//b",
  "-a",
  "a___b",
  "a b",
  "a\nb",
  "../etc/passwd",
  "host:port/x",
  "a".repeat(64),
  "x".repeat(300),
  "docker.io/",
  "ü",
];

for (const text of bad) {
  test(`${JSON.stringify(text.slice(0, 40))} is refused`, () => {
    try {
      parseReference(text);
    } catch (error) {
      expect(isHullError(error, "invalidReference")).toBe(true);
      return;
    }
    throw new Error("it was taken");
  });
}

test("names without a host are of the registry that was chosen, and are written as they are read", () => {
  useDefaultRegistry("registry.example.com:5000");
  try {
    expect(canonicalName(parseReference("alpine"))).toBe("registry.example.com:5000/alpine");
    expect(canonicalName(parseReference("team/app:1"))).toBe("registry.example.com:5000/team/app");
    expect(canonicalName(parseReference("docker.io/alpine"))).toBe("docker.io/library/alpine");
    for (const name of ["alpine:1", "team/app:1", "docker.io/library/alpine:1", "other.example/x:1"])
      expect(formatReference(parseReference(name))).toBe(name);
    // Its first part would be read as a host.
    const odd = "registry.example.com:5000/odd.name/x";
    expect(formatReference(parseReference(`${odd}:1`))).toBe(`${odd}:1`);
  } finally {
    useDefaultRegistry("docker.io");
  }
  expect(formatReference(parseReference("docker.io/library/alpine:1"))).toBe("alpine:1");
  for (const wrong of ["library", "a/b", "", "x y"]) expect(() => useDefaultRegistry(wrong)).toThrow();
});
