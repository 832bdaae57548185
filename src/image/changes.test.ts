import { expect, test } from "bun:test";
import { applyChanges } from "./changes.ts";
import { emptyConfig, formatConfig, parseConfig } from "./config.ts";
import { hostPlatform } from "./platform.ts";

const empty = emptyConfig(hostPlatform(), "2020-01-01T00:00:00Z");

test("every instruction changes what it names", () => {
  const config = applyChanges(empty, [
    'CMD ["sh", "-c", "a b"]',
    "entrypoint /bin/run me",
    'ENV A=b C=\'d e\' F="g \\" h"',
    "ENV A again and again",
    "WORKDIR /srv",
    "WORKDIR data",
    "USER 1000:1000",
    "EXPOSE 80 53/udp 8000-8010",
    'LABEL a=b "c d"=e',
    'VOLUME ["/x", "/y z"]',
    "VOLUME /x /w",
    "STOPSIGNAL SIGINT",
  ]);
  expect(config).toEqual({
    ...empty,
    cmd: ["sh", "-c", "a b"],
    entrypoint: ["/bin/sh", "-c", "/bin/run me"],
    env: ["A=again and again", "C=d e", 'F=g " h'],
    workingDir: "/srv/data",
    user: "1000:1000",
    exposedPorts: ["80/tcp", "53/udp", "8000-8010/tcp"],
    labels: { a: "b", "c d": "e" },
    volumes: ["/x", "/y z", "/w"],
    stopSignal: "SIGINT",
  });
  const json = formatConfig(config, hostPlatform(), []);
  expect(parseConfig(json, "it").config).toEqual(config);
});

for (const line of [
  "",
  "CMD",
  "RUN make",
  "FROM x",
  "ENV",
  "ENV A",
  "ENV =b",
  "EXPOSE web",
  "EXPOSE 70000",
  'ENV A="b',
  "constructor x",
]) {
  test(`${JSON.stringify(line)} is refused`, () => {
    expect(() => applyChanges(empty, [line])).toThrow(/invalid change/);
  });
}
