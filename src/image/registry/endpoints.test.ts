/** Where a registry may send us. */
import { expect, test } from "bun:test";
import { mayLeadTo } from "./endpoints.ts";
import { defaultRegistrySettings } from "./settings.ts";

const settings = { ...defaultRegistrySettings, insecure: ["10.0.0.0/8"] };
const [far, here, trusted] = [
  "https://registry.example/v2/",
  "http://127.0.0.1:5000/v2/",
  "https://10.1.1.1/v2/",
];

test.each([
  [far, "https://auth.example/token", true],
  [far, "http://auth.example/token", false],
  // Whoever pushed the image, or runs the registry, would have the daemon ask this machine's servers.
  [far, "http://127.0.0.1:8080/token", false],
  [far, "https://localhost/token", false],
  [far, "http://10.2.2.2/token", false],
  [far, "ftp://auth.example/token", false],
  [here, "http://127.0.0.1:5001/token", true],
  [here, "https://auth.example/token", true],
  [here, "http://auth.example/token", false],
  [trusted, "http://10.2.2.2/token", true],
  [trusted, "https://localhost/token", true],
])("from %p to %p: %p", (from, to, expected) => {
  expect(mayLeadTo(new URL(to), new URL(from), settings)).toBe(expected);
});
