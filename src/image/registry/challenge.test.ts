import { expect, test } from "bun:test";
import { parseChallenges } from "./challenge.ts";

const plain = (header: string): Record<string, string>[] =>
  parseChallenges(header).map(({ scheme, parameters }) => ({
    ...Object.fromEntries(parameters),
    scheme,
  }));

test("challenges as registries write them are read", () => {
  expect(
    plain(
      'Bearer realm="https://auth.example.com/token",service="r.example.com",scope="repository:a/b:pull,push"',
    ),
  ).toEqual([
    {
      scheme: "bearer",
      realm: "https://auth.example.com/token",
      service: "r.example.com",
      scope: "repository:a/b:pull,push",
    },
  ]);
  expect(plain('Basic realm="a \\"quoted\\" realm"')).toEqual([
    { scheme: "basic", realm: 'a "quoted" realm' },
  ]);
  expect(plain('Negotiate, BASIC realm=x , Bearer realm="y"')).toEqual([
    { scheme: "negotiate" },
    { scheme: "basic", realm: "x" },
    { scheme: "bearer", realm: "y" },
  ]);
});

test("what is no challenge gives none, quickly", () => {
  for (const header of ["", ",,,", "=", '"', "@@@", `Bearer realm="${"\\".repeat(5000)}`])
    expect(plain(header).length).toBeLessThan(2);
});
