/** What is understood of Docker's requests: the create request, detach keys, instants, frames. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { createBody, translateCreate } from "./create-request.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { frameOf } from "./frames.ts";
import { isEmpty, isEmptyStructure } from "./options.ts";
import { parseInstant } from "./times.ts";

/** What `docker run --rm hull/tiny echo hi` of version 28 sends, whole. */
const fromDockerCli = {
  ...{ Hostname: "", Domainname: "", User: "", AttachStdin: false, AttachStdout: true, AttachStderr: true },
  ...{ Tty: false, OpenStdin: false, StdinOnce: false, Env: null, Cmd: ["echo", "hi"], Image: "hull/tiny" },
  ...{ Volumes: {}, WorkingDir: "", Entrypoint: null, OnBuild: null, Labels: {} },
  HostConfig: {
    ...{ Binds: null, ContainerIDFile: "", LogConfig: { Type: "", Config: {} }, NetworkMode: "default" },
    ...{ PortBindings: {}, RestartPolicy: { Name: "no", MaximumRetryCount: 0 }, AutoRemove: true },
    ...{ VolumeDriver: "", VolumesFrom: null, ConsoleSize: [0, 0], CapAdd: null, CapDrop: null },
    ...{ CgroupnsMode: "", Dns: [], DnsOptions: [], DnsSearch: [], ExtraHosts: null, GroupAdd: null },
    ...{ IpcMode: "", Cgroup: "", Links: null, OomScoreAdj: 0, PidMode: "", Privileged: false },
    ...{ PublishAllPorts: false, ReadonlyRootfs: false, SecurityOpt: null, UTSMode: "", UsernsMode: "" },
    ...{ ShmSize: 0, Isolation: "", CpuShares: 0, Memory: 0, NanoCpus: 0, CgroupParent: "", BlkioWeight: 0 },
    ...{ BlkioWeightDevice: [], CpuPeriod: 0, CpuQuota: 0, CpuRealtimePeriod: 0, CpusetCpus: "" },
    ...{ Devices: [], DeviceCgroupRules: null, DeviceRequests: null, MemoryReservation: 0, MemorySwap: 0 },
    ...{ MemorySwappiness: -1, OomKillDisable: false, PidsLimit: 0, Ulimits: [], CpuCount: 0, CpuPercent: 0 },
    ...{ IOMaximumIOps: 0, IOMaximumBandwidth: 0, MaskedPaths: null, ReadonlyPaths: null },
  },
  NetworkingConfig: {
    EndpointsConfig: {
      default: {
        ...{ IPAMConfig: null, Links: null, Aliases: null, MacAddress: "", DriverOpts: null, GwPriority: 0 },
        ...{ NetworkID: "", EndpointID: "", Gateway: "", IPAddress: "", IPPrefixLen: 0, DNSNames: null },
      },
    },
  },
};

function translate(body: unknown, name = "", platform = "") {
  return translateCreate(v.parse(createBody, body), name, platform);
}

describe("the create request", () => {
  test("of the docker CLI is accepted as it is", () => {
    expect(translate(fromDockerCli, "web", "linux/amd64")).toMatchObject({
      name: "web",
      image: "hull/tiny",
      wall: "container",
      entrypoint: undefined,
      command: ["echo", "hi"],
      autoRemove: true,
      network: { mode: "default", ports: [], endpoints: { default: { aliases: [] } } },
      ofBuild: false,
      restart: { name: "no" },
      size: undefined,
    });
  });

  test("an empty request asks for nothing but an image", () => {
    expect(() => translate({})).toThrow("no image specified");
    expect(translate({ Image: "x" })).toMatchObject({
      name: undefined,
      image: "x",
      env: [],
      stopTimeout: undefined,
    });
  });

  test.each([
    ["", "container"],
    ["process", "container"],
    ["VM", "vm"],
    ["hyperv", "vm"],
  ] as const)("isolation %p is the %s wall", (Isolation, wall) => {
    expect(translate({ Image: "x", HostConfig: { Isolation } }).wall).toBe(wall);
  });

  test("a word is a list of one word, an empty list is none", () => {
    expect(translate({ Image: "x", Cmd: "ls -l", Entrypoint: [] })).toMatchObject({
      command: ["ls -l"],
      entrypoint: undefined,
    });
    expect(translate({ Image: "x", Entrypoint: [""] }).entrypoint).toEqual([""]);
  });

  test("CPU quotas are CPUs", () => {
    expect(translate({ Image: "x", HostConfig: { CpuQuota: 50_000 } }).nanoCpus).toBe(5e8);
    expect(translate({ Image: "x", HostConfig: { CpuQuota: 50_000, CpuPeriod: 25_000 } }).nanoCpus).toBe(2e9);
    expect(() => translate({ Image: "x", HostConfig: { CpuQuota: 1, NanoCpus: 1 } })).toThrow(
      "exclude each other",
    );
  });

  test.each([
    { Memory: 2 ** 60 },
    { Memory: -1 },
    { Memory: 7e6 + 0.5 },
    { PidsLimit: 2 ** 40 },
    { NanoCpus: 1 },
    { NanoCpus: -1e9 },
    { NanoCpus: 1e15 },
    { CpuQuota: 1 },
    { CpuQuota: 1e12, CpuPeriod: 1000 },
  ])("a limit that no host can keep is refused: %p", (HostConfig) => {
    expect(() => translate({ Image: "x", HostConfig })).toThrow(/invalid/i);
  });

  test("a negative limit of processes is none", () => {
    expect(translate({ Image: "x", HostConfig: { PidsLimit: -1 } }).pidsLimit).toBe(0);
  });

  test("an option that Hull does not act on is refused although it is empty", () => {
    expect(() => translate({ Image: "x", HostConfig: { Sysctls: { a: "" } } })).toThrow("HostConfig.Sysctls");
  });

  test("a /proc without hidden paths is refused, and not by silence", () => {
    for (const HostConfig of [{ MaskedPaths: [] }, { ReadonlyPaths: [] }, { MaskedPaths: ["/proc/kcore"] }])
      expect(() => translate({ Image: "x", HostConfig })).toThrow("Paths is not supported");
  });

  test("--rm and a restart policy exclude each other", () => {
    const HostConfig = { AutoRemove: true, RestartPolicy: { Name: "always" } };
    expect(() => translate({ Image: "x", HostConfig })).toThrow("exclude each other");
  });

  test.each(["-x", "a_b", "x".repeat(64), "a b"])("hostname %p is refused", (Hostname) => {
    expect(() => translate({ Image: "x", Hostname })).toThrow("invalid hostname");
  });

  test("what Go clients send for nothing is nothing", () => {
    for (const value of [null, 0, "", false, [], {}, [0, 0]]) expect(isEmpty(value)).toBe(true);
    for (const value of [1, "x", true, ["a"], [1], { a: "" }]) expect(isEmpty(value)).toBe(false);
    expect(isEmptyStructure({ a: null, b: { c: "" } })).toBe(true);
    expect(isEmptyStructure({ a: { b: 1 } })).toBe(false);
    const deep: unknown = JSON.parse(`${'{"a":'.repeat(100_000)}0${"}".repeat(100_000)}`);
    expect(isEmptyStructure(deep)).toBe(false);
  });
});

test("detach keys that are none are refused", () => {
  for (const keys of ["ctrl-1", "ab"]) expect(() => parseDetachKeys(keys)).toThrow("detach keys");
});

test("instants are seconds, times or durations", () => {
  expect(parseInstant("since", "1.5")).toBe(1_500_000_000n);
  expect(parseInstant("since", "1764479548.123456789")).toBe(1_764_479_548_123_456_789n);
  expect(parseInstant("since", "1970-01-01T00:00:02Z")).toBe(2_000_000_000n);
  expect(parseInstant("since", "1970-01-02")).toBe(86_400_000_000_000n);
  const ago = BigInt(Date.now()) * 1_000_000n - parseInstant("since", "1h30m");
  expect(Number(ago / 1_000_000_000n)).toBeWithin(5398, 5402);
  expect(() => parseInstant("since", "soon")).toThrow("invalid since soon");
});

test("a frame says whose bytes it has, and how many", () => {
  const frame = frameOf({ stream: "stderr", data: Buffer.from("oops") });
  expect([...frame.subarray(0, 8)]).toEqual([2, 0, 0, 0, 0, 0, 0, 4]);
  expect(Buffer.from(frame.subarray(8)).toString()).toBe("oops");
});
