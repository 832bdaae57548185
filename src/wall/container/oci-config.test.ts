import { describe, expect, test } from "bun:test";
import type { SandboxSpec } from "../wall.ts";
import { type ConfigFacts, containerConfig } from "./oci-config.ts";

const spec: SandboxSpec = {
  id: "ab".repeat(32),
  name: "box",
  directory: "/var/lib/hull/w/box",
  runtimeDirectory: "/run/hull/w/box",
  layers: ["/layers/a"],
  process: {
    args: ["sh", "-c", "true"],
    env: ["PATH=/bin"],
    cwd: "/",
    user: "",
    capabilities: ["CAP_CHOWN", "CAP_KILL"],
    terminal: false,
    stdin: false,
    stdinOnce: false,
  },
  hostname: "box",
  readOnlyRoot: false,
  resources: { memoryBytes: 0, cpus: 0, pids: 0 },
  logPath: "/var/lib/hull/w/box/log",
};

const facts: ConfigFacts = {
  user: { uid: 0, gid: 0, additionalGids: [], home: "/root" },
  rootPath: "/run/hull/w/box/rootfs",
  files: new Set(),
  cgroup: "/hull/box",
  seccomp: undefined,
  canLimitSwap: true,
};

describe("the OCI configuration of a container", () => {
  test("is the one in golden-config.json for a plain workload", async () => {
    const golden = Bun.file(`${import.meta.dir}/golden-config.json`);
    expect(containerConfig(spec, facts)).toEqual(await golden.json());
  });

  test("limits memory without swap, processors by quota, and processes", () => {
    const limited = { ...spec, resources: { memoryBytes: 1 << 27, cpus: 1.5, pids: 99 } };
    const { resources } = containerConfig(limited, facts).linux;
    expect(resources.memory).toEqual({ limit: 1 << 27, swap: 1 << 27 });
    expect(resources.cpu).toEqual({ quota: 150_000, period: 100_000 });
    expect(resources.pids).toEqual({ limit: 99 });
    const noSwap = containerConfig(limited, { ...facts, canLimitSwap: false }).linux.resources;
    expect(noSwap.memory).toEqual({ limit: 1 << 27 });
  });

  test("gives an unprivileged user a bounding set only", () => {
    const user = { uid: 1000, gid: 100, additionalGids: [29], home: "/home/a" };
    const { process } = containerConfig(spec, { ...facts, user });
    expect(process.user).toEqual({ uid: 1000, gid: 100, additionalGids: [29] });
    expect(process.capabilities).toEqual({
      bounding: ["CAP_CHOWN", "CAP_KILL"],
      effective: [],
      permitted: [],
      inheritable: [],
      ambient: [],
    });
  });

  test("sets HOME only where the image does not", () => {
    const { env } = containerConfig(spec, facts).process;
    expect(env).toEqual(["PATH=/bin", "HOME=/root"]);
    const own = { ...spec, process: { ...spec.process, env: ["HOME=/srv"] } };
    expect(containerConfig(own, facts).process.env).toEqual(["HOME=/srv"]);
  });

  test("has the terminal's size, and a read-only root", () => {
    const config = containerConfig(
      {
        ...spec,
        readOnlyRoot: true,
        process: { ...spec.process, terminal: true, size: { columns: 80, rows: 24 } },
      },
      facts,
    );
    expect(config.root.readonly).toBe(true);
    expect(config.process.consoleSize).toEqual({ height: 24, width: 80 });
  });
});
