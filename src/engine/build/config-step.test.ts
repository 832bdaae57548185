/** What instructions do to the config, and which arguments a command sees. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a Dockerfile
import { describe, expect, test } from "bun:test";
import { parseDockerfile } from "../../image/build/dockerfile/parse.ts";
import { emptyStage, formatStage, parseStage, type StageConfig } from "../../image/build/stage-config.ts";
import { StageArguments, unusedArguments } from "./arguments.ts";
import { configStep, type StepScope, withoutCommand, workingDirectoryOf } from "./config-step.ts";
import { parseGitUrl } from "./git.ts";
import { stepKey } from "./key.ts";
import { planRun } from "./run-step.ts";

const none = { given: new Map(), global: new Map(), automatic: new Map() };

function scopeOf(config: StageConfig, args = new StageArguments(none), commandSet = false): StepScope {
  return { config, args, escapeToken: "\\", commandSet };
}

/** The config after all instructions, and how the last one is told. */
function after(lines: readonly string[], config = emptyStage()): { config: StageConfig; told: string } {
  let state = { config, told: "" };
  for (const instruction of parseDockerfile(["FROM x", ...lines].join("\n")).instructions.slice(1)) {
    if (instruction.do === "FROM") continue;
    const step = configStep(instruction, scopeOf(state.config));
    if (step === undefined) throw new Error(`${instruction.do} does more than change the config`);
    state = step;
  }
  return state;
}

describe("config", () => {
  test("variables are those before the instruction, for all of its pairs", () => {
    const { config, told } = after(["ENV A=1", 'ENV A=2 B=$A C="${A} $none"']);
    expect(config.env).toEqual(["A=2", "B=1", "C=1 "]);
    expect(told).toBe("ENV A=2 B=1 C=1 ");
  });

  test("what doubles with every line is refused before it is large", () => {
    const lines = ["ENV A=0123456789", ...Array.from({ length: 40 }, () => "ENV A=$A$A")];
    expect(() => after(lines)).toThrow("more than 1048576 characters");
    const many = `ENV ${Array.from({ length: 20 }, (_, index) => `N${index}=$A`).join(" ")}`;
    expect(() => after([...lines.slice(0, 15), many])).toThrow("more than 1048576 characters");
    expect(() => after(["LABEL a=b", ...lines.slice(0, 15), many.replace("ENV", "LABEL")])).toThrow("names");
  });

  test("ports are told once, and ranges that repeat themselves are refused before they are many", () => {
    expect(
      after(["EXPOSE 80 80-81 80/udp"], { ...emptyStage(), exposedPorts: ["81/tcp"] }).config.exposedPorts,
    ).toEqual(["81/tcp", "80/tcp", "80/udp"]);
    const ranges = Array.from({ length: 100_000 }, () => "1-65535").join(" ");
    expect(() => after([`EXPOSE ${ranges}`])).toThrow("more than 65536 ports");
  });

  test("an entry point takes the base image's command away, and a command of the stage stays", () => {
    const base = { ...emptyStage(), cmd: ["base"] };
    expect(after(['ENTRYPOINT ["e"]'], base).config).toMatchObject({ entrypoint: ["e"], cmd: [] });
    const entry = parseDockerfile('FROM x\nENTRYPOINT ["e"]').instructions[1];
    if (entry === undefined || entry.do === "FROM")
      throw new Error("the second instruction is the entry point");
    const step = configStep(entry, {
      ...scopeOf(base),
      commandSet: true,
    });
    expect(step?.config.cmd).toEqual(["base"]);
  });

  test("SHELL is for what follows it", () => {
    const { config } = after(["CMD a b", 'SHELL ["/bin/bash", "-ec"]', "ENTRYPOINT c d"]);
    expect(config.entrypoint).toEqual(["/bin/bash", "-ec", "c d"]);
    expect(withoutCommand("CMD x", config)).toBe("/bin/bash -ec #(nop)  CMD x");
  });

  test("ports are made one by one, volumes and labels are added to", () => {
    const { config } = after([
      "ENV P='9000 9001/udp'",
      "EXPOSE 80 8000-8002/TCP $P",
      "VOLUME /a /b",
      "VOLUME /b /c",
      "LABEL a=1 b=2",
      "LABEL b=3",
      "STOPSIGNAL SIGINT",
      "USER u:g",
      "ONBUILD RUN x",
      "HEALTHCHECK --interval=5s CMD true",
      "MAINTAINER me",
    ]);
    expect(config).toMatchObject({
      exposedPorts: ["80/tcp", "8000/tcp", "8001/tcp", "8002/tcp", "9000/tcp", "9001/udp"],
      volumes: ["/a", "/b", "/c"],
      labels: { a: "1", b: "3" },
      stopSignal: "SIGINT",
      user: "u:g",
      onBuild: ["RUN x"],
      healthcheck: { Test: ["CMD-SHELL", "true"], Interval: 5e9 },
      author: "me",
    });
    expect(() => after(["EXPOSE 70000"])).toThrow("Invalid containerPort: 70000");
    expect(() => after(["EXPOSE 9-8"])).toThrow("Invalid containerPort");
    expect(() => after(["STOPSIGNAL NONE"])).toThrow("signal");
  });

  test("working directories are joined and cleaned", () => {
    const from = (workingDir: string, value: string) =>
      workingDirectoryOf(value, 1, scopeOf({ ...emptyStage(), workingDir, env: ["D=x/y"] }));
    expect(from("", "a")).toBe("/a");
    expect(from("/a/b", "../$D/")).toBe("/a/x/y");
    expect(from("/a", "/../../c//d/.")).toBe("/c/d");
    expect(() => from("/a", "$none")).toThrow("WORKDIR is empty");
  });

  test("a config goes through JSON and back, with members that nobody knows", () => {
    const json = JSON.stringify({
      architecture: "amd64",
      os: "linux",
      "org.example": { kept: true },
      container: "dropped",
      config: { Env: ["A=b"], OnBuild: ["RUN x"], Shell: ["/sh"], Healthcheck: { Test: ["NONE"] } },
      rootfs: { type: "layers", diff_ids: [] },
      history: [{ created_by: "x", author: "kept" }],
    });
    const written = formatStage(parseStage(json, "it"), "2026-01-01T00:00:00Z", []);
    expect(JSON.parse(written)).toEqual({
      created: "2026-01-01T00:00:00Z",
      architecture: "amd64",
      os: "linux",
      "org.example": { kept: true },
      config: { Env: ["A=b"], Healthcheck: { Test: ["NONE"] }, OnBuild: ["RUN x"], Shell: ["/sh"] },
      rootfs: { type: "layers", diff_ids: [] },
      history: [{ created_by: "x", author: "kept" }],
    });
    expect(formatStage(parseStage(written, "it"), "2026-01-01T00:00:00Z", [])).toBe(written);
  });
});

describe("arguments", () => {
  const values = {
    given: new Map([
      ["A", "given"],
      ["HTTP_PROXY", "p"],
      ["https_proxy", "q"],
      ["odd", "1"],
    ]),
    global: new Map([["G", "global"]]),
    automatic: new Map([["TARGETARCH", "amd64"]]),
  };

  test("only what is declared is seen, and an ENV wins", () => {
    const args = new StageArguments(values);
    expect(args.value("A")).toBeUndefined();
    args.declare("A", "default");
    args.declare("B", "default");
    args.declare("G", undefined);
    args.declare("TARGETARCH", undefined);
    args.declare("nothing", undefined);
    args.declare("https_proxy", undefined);
    expect(args.ofCommand(["B=env"])).toEqual(["A=given", "G=global", "TARGETARCH=amd64", "https_proxy=q"]);
    expect(args.undeclared([])).toEqual(["HTTP_PROXY=p"]);
    expect(unusedArguments(values.given, new Set(["A"]))).toEqual(["odd"]);
  });
});

test("keys tell steps apart by all that decides them", () => {
  const key = stepKey("sha256:a", "RUN x");
  expect(stepKey("sha256:a", "RUN x")).toBe(key);
  expect(stepKey("sha256:b", "RUN x")).not.toBe(key);
  expect(stepKey("sha256:a", "RUN y")).not.toBe(key);
  expect(stepKey("sha256:a", "RUN x", ["none"])).not.toBe(key);
});

test("keys tell steps apart that the history tells alike", () => {
  const keyOf = (line: string): string => {
    const [, instruction] = parseDockerfile(`FROM x\n${line}`).instructions;
    if (instruction === undefined || instruction.do === "FROM") throw new Error("it has two instructions");
    const scope = scopeOf(emptyStage());
    const step = instruction.do === "RUN" ? planRun(instruction, scope) : configStep(instruction, scope);
    if (step === undefined) throw new Error(`${instruction.do} is no step of this test`);
    return stepKey("parent", "createdBy" in step ? step.createdBy : step.told, step.key);
  };
  for (const [one, other] of [
    ['ENV A="1 B=2"', "ENV A=1 B=2"],
    ['LABEL a="1 b=2"', "LABEL a=1 b=2"],
    ['VOLUME ["/a b"]', 'VOLUME ["/a", "b"]'],
    ['SHELL ["/a b"]', 'SHELL ["/a", "b"]'],
    ['RUN ["touch", "/a b"]', 'RUN ["touch", "/a", "b"]'],
  ] as const) {
    expect(keyOf(one)).toBe(keyOf(one));
    expect([one, keyOf(one)]).not.toEqual([one, keyOf(other)]);
  }
});

test("git URLs are told from others", () => {
  expect(parseGitUrl("https://h/r.git#v1:sub/dir")).toEqual({
    url: "https://h/r.git",
    ref: "v1",
    directory: "sub/dir",
  });
  expect(parseGitUrl("github.com/o/r")).toEqual({
    url: "https://github.com/o/r",
    ref: "HEAD",
    directory: "",
  });
  expect(parseGitUrl("git@h:o/r.git#:d")).toEqual({ url: "git@h:o/r.git", ref: "HEAD", directory: "d" });
  expect(parseGitUrl("https://h/r.tar.gz")).toBeUndefined();
  expect(() => parseGitUrl("https://h/r.git#--upload-pack=x")).toThrow("invalid git URL");
  expect(() => parseGitUrl("https://h/r.git#a:../b")).toThrow("invalid git URL");
});
