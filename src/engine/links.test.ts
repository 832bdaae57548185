import { expect, test } from "bun:test";
import { linkVariables } from "./links.ts";

test("a link is told in the variables that Docker has for it, and the lowest port of TCP is the port", () => {
  expect(
    linkVariables({
      name: "/web/my-db",
      address: "172.17.0.5",
      exposed: ["5433/tcp", "53/udp", "53/tcp"],
      env: ["PATH=/bin", "HOSTNAME=db", "USER=me", "EMPTY="],
    }),
  ).toEqual([
    "MY_DB_PORT=tcp://172.17.0.5:53",
    "MY_DB_PORT_53_TCP=tcp://172.17.0.5:53",
    "MY_DB_PORT_53_TCP_ADDR=172.17.0.5",
    "MY_DB_PORT_53_TCP_PORT=53",
    "MY_DB_PORT_53_TCP_PROTO=tcp",
    "MY_DB_PORT_53_UDP=udp://172.17.0.5:53",
    "MY_DB_PORT_53_UDP_ADDR=172.17.0.5",
    "MY_DB_PORT_53_UDP_PORT=53",
    "MY_DB_PORT_53_UDP_PROTO=udp",
    "MY_DB_PORT_5433_TCP=tcp://172.17.0.5:5433",
    "MY_DB_PORT_5433_TCP_ADDR=172.17.0.5",
    "MY_DB_PORT_5433_TCP_PORT=5433",
    "MY_DB_PORT_5433_TCP_PROTO=tcp",
    "MY_DB_NAME=/web/my-db",
    "MY_DB_ENV_USER=me",
    "MY_DB_ENV_EMPTY=",
  ]);
});
