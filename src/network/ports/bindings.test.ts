import { expect, test } from "bun:test";
import { defaultNetworkRequest } from "../records/default-request.ts";
import { bindings } from "./bindings.ts";

test("of what an image exposes only ports are published", () => {
  const exposed = [
    "80/tcp",
    "53/udp",
    "0/tcp",
    "65536/tcp",
    "8000-8010/tcp",
    "1 }; flush ruleset/tcp",
    "-1/tcp",
  ];
  const found = bindings({ request: { ...defaultNetworkRequest, publishAll: true }, exposed });
  expect(found.map(({ port, protocol }) => `${port}/${protocol}`)).toEqual(["80/tcp", "53/udp"]);
  expect(bindings({ request: defaultNetworkRequest, exposed })).toEqual([]);
});
