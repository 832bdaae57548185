import { expect, test } from "bun:test";
import { policyAnnotations, translatePolicy } from "./policy-request.ts";

test("annotations and the request's labels say what may be reached, and how fast, in one spelling", () => {
  const said = { "hull.egress.allow": "One.example:443 , 10.0.0.0/8", "hull.egress.rate": "1.5mbit" };
  const policy = { egress: ["one.example:443", "10.0.0.0/8"], egressRate: 1.5e6 };
  expect(translatePolicy(said, {})).toEqual(policy);
  expect(translatePolicy({}, { ...said, other: "1" })).toEqual(policy);
  expect(translatePolicy(said, said)).toEqual(policy);
  expect(policyAnnotations(policy)).toEqual({
    "hull.egress.allow": "one.example:443,10.0.0.0/8",
    "hull.egress.rate": "1500kbit",
  });
  expect(translatePolicy({ "hull.egress.allow": "none" }, {})).toEqual({ egress: [] });
  expect(policyAnnotations({ egress: [] })).toEqual({ "hull.egress.allow": "none" });
  const free = { "hull.egress.allow": "any", "hull.ingress.rate": "unlimited" };
  expect(translatePolicy(free, {})).toEqual({});
});

test("what nothing would act on, or what contradicts itself, is refused", () => {
  for (const [annotations, labels, why] of [
    [{ "org.example": "1" }, {}, "the annotation org.example"],
    [{ "hull.egress.allow": "none" }, { "hull.egress.allow": "any" }, "differ"],
    [{ "hull.egress.allow": "none,one.example" }, {}, "stand alone"],
    [{ "hull.egress.allow": " , " }, {}, "at least one"],
    [{ "hull.ingress.rate": "10" }, {}, "rate of ingress"],
  ] as const)
    expect(() => translatePolicy(annotations, labels)).toThrow(why);
});
