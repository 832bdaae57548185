import { describe, expect, test } from "bun:test";
import { planCreate, planExec, planRemove, planStart, type Step } from "./plan.ts";
import type { WorkloadRecord } from "./record.ts";
import type { RunRequest } from "./request.ts";
import { plainRequest } from "./testing/engine-bench.ts";
import { imageWith } from "./testing/fake-images.ts";

const facts = {
  id: "c0ffee".repeat(11).slice(0, 64),
  name: "swift_sloop",
  now: 1000.5,
  root: "/root",
  state: "/s",
  mounts: [],
};

function recordOf(request: Partial<RunRequest>, image = imageWith({ cmd: ["sh"] })): WorkloadRecord {
  const [first] = planCreate({ ...plainRequest, ...request }, image, facts);
  if (first?.do !== "record") throw new Error("a creation begins with its record");
  return first.record;
}

const namesOf = (steps: readonly Step[]) => steps.map((step) => step.name);

describe("plan", () => {
  test("a creation records first, and every step has a name", () => {
    expect(namesOf(planCreate({ ...plainRequest, command: ["true"] }, imageWith(), facts))).toEqual([
      "create:record",
      "create:network",
      "create:lease",
      "create:directory",
      "create:settle",
    ]);
    expect(namesOf(planStart({ mounts: [] }))).toEqual([
      "start:record",
      "start:network",
      "start:create-sandbox",
      "start:attach",
      "start:start-sandbox",
      "start:settle",
    ]);
    expect(namesOf(planRemove(recordOf({}), { volumes: true }))).toEqual([
      "remove:record",
      "remove:sandbox",
      "remove:directory",
      "remove:forget",
    ]);
  });

  test("the sandbox's specification, whole", () => {
    const image = imageWith({
      env: ["PATH=/bin", "FROM=image"],
      entrypoint: ["/entry"],
      cmd: ["default"],
      workingDir: "/srv",
      user: "web:web",
      labels: { own: "image", both: "image" },
      stopSignal: "SIGQUIT",
    });
    const record = recordOf(
      {
        command: ["--flag"],
        env: ["MORE=1", "FROM=request"],
        terminal: true,
        stdin: true,
        stdinOnce: true,
        size: { columns: 80, rows: 24 },
        memoryBytes: 64 * 1024 * 1024,
        nanoCpus: 1_500_000_000,
        pidsLimit: 100,
        labels: { both: "request" },
        capDrop: ["ALL"],
        capAdd: ["net_admin"],
        readOnlyRoot: true,
      },
      image,
    );
    expect(record.spec).toEqual({
      id: facts.id,
      name: "swift_sloop",
      directory: `/root/workloads/${facts.id}`,
      runtimeDirectory: "/s/w/c0ffeec0ffee",
      layers: ["/layers/b.erofs"],
      hostname: "c0ffeec0ffee",
      readOnlyRoot: true,
      resources: { memoryBytes: 67_108_864, cpus: 1.5, pids: 100 },
      logPath: `/root/workloads/${facts.id}/log`,
      process: {
        args: ["/entry", "--flag"],
        env: ["PATH=/bin", "HOSTNAME=c0ffeec0ffee", "TERM=xterm", "FROM=request", "MORE=1"],
        cwd: "/srv",
        user: "web:web",
        capabilities: ["CAP_NET_ADMIN"],
        terminal: true,
        stdin: true,
        stdinOnce: false,
        size: { columns: 80, rows: 24 },
      },
    });
    expect(record.labels).toEqual({ own: "image", both: "request" });
    expect(record.stopSignal).toBe(3);
    expect(record.state).toBe("creating");
  });

  test("a workload that asks for nothing has Docker's defaults", () => {
    const { spec, stopSignal } = recordOf({});
    expect(stopSignal).toBe(15);
    expect(spec.process.args).toEqual(["sh"]);
    expect(spec.process.cwd).toBe("/");
    expect(spec.process.env).toEqual([
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOSTNAME=c0ffeec0ffee",
    ]);
    expect(spec.process.capabilities).toHaveLength(14);
    expect(spec.process.capabilities).toContain("CAP_CHOWN");
  });

  test("an entry point takes the image's command away, an empty one the image's entry point", () => {
    const image = imageWith({ entrypoint: ["/entry"], cmd: ["default"] });
    const argsOf = (request: Partial<RunRequest>) => recordOf(request, image).spec.process.args;
    expect(argsOf({})).toEqual(["/entry", "default"]);
    expect(argsOf({ command: ["x"] })).toEqual(["/entry", "x"]);
    expect(argsOf({ entrypoint: ["sh"] })).toEqual(["sh"]);
    expect(argsOf({ entrypoint: ["sh"], command: ["-c"] })).toEqual(["sh", "-c"]);
    expect(argsOf({ entrypoint: [""], command: ["ls"] })).toEqual(["ls"]);
    expect(() => argsOf({ entrypoint: [""] })).toThrow("no command specified");
  });

  test("a bare name takes a variable away, and what is no variable is refused", () => {
    const image = imageWith({ env: ["A=1", "B=2"], cmd: ["sh"] });
    const envOf = (env: string[]) => recordOf({ env }, image).spec.process.env.slice(2);
    expect(envOf(["A", "C=3=4"])).toEqual(["B=2", "C=3=4"]);
    expect(() => envOf(["=x"])).toThrow("write NAME=value");
  });

  test("a relative working directory is refused", () => {
    expect(() => recordOf({ workingDirectory: "srv" })).toThrow("absolute");
  });

  test("what the kernel would cut at a NUL is refused, an image's own words included", () => {
    for (const request of [{ command: ["a\0b"] }, { workingDirectory: "/a\0" }, { user: "root\0x" }])
      expect(() => recordOf(request)).toThrow("has a NUL");
    expect(() => recordOf({}, imageWith({ cmd: ["sh", "\0"] }))).toThrow("has a NUL");
    expect(() => recordOf({}, imageWith({ cmd: ["sh"], user: "root\0" }))).toThrow("has a NUL");
  });

  test("an exec has the workload's environment, user and directory unless told otherwise", () => {
    const workload = recordOf({ env: ["A=1"], user: "web", workingDirectory: "/srv" });
    const request = {
      command: ["id"],
      env: ["B=2"],
      workingDirectory: "",
      user: "",
      terminal: true,
      stdin: false,
      stdout: true,
      stderr: true,
      size: undefined,
    };
    const { process } = planExec(request, workload, facts.id);
    expect(process).toMatchObject({ args: ["id"], cwd: "/srv", user: "web", terminal: true, stdin: false });
    expect(process.env.slice(-3)).toEqual(["A=1", "TERM=xterm", "B=2"]);
    expect(() => planExec({ ...request, command: [] }, workload, facts.id)).toThrow("no command specified");
    expect(() => planExec({ ...request, command: ["a\0"] }, workload, facts.id)).toThrow("has a NUL");
  });
});
