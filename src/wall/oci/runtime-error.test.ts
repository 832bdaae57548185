import { expect, test } from "bun:test";
import { explainRuntimeFailure } from "./runtime-error.ts";

const context = { name: "box", wall: "container", command: "prog", cwd: "/work", user: "u" } as const;

/** What crun 1.8 and runc 1.1 say, and what it means. */
const words: readonly (readonly [string, string])[] = [
  ["executable file `prog` not found in $PATH: No such file or directory\n", "commandNotFound"],
  ['exec: "prog": executable file not found in $PATH: unknown', "commandNotFound"],
  ["exec container process (missing dynamic library?) `/prog`: No such file or directory", "commandNotFound"],
  ["open executable: Permission denied", "commandNotExecutable"],
  ["open executable: Operation not permitted", "commandNotExecutable"],
  ['exec: "/etc": is a directory', "commandNotExecutable"],
  ["exec container process `/prog`: Exec format error", "commandNotExecutable"],
  ["chdir: No such file or directory", "workingDirectoryInvalid"],
  ['chdir to cwd ("/work") set in config.json failed: permission denied', "workingDirectoryInvalid"],
  ["writing file `/sys/fs/cgroup/hull/x/cgroup.procs`: No such process", "startFailed"],
  ["", "startFailed"],
];

for (const [text, code] of words)
  test(`${JSON.stringify(text)} is ${code}`, () => {
    const error = explainRuntimeFailure(text, context);
    expect(error.code === code ? code : error.message).toBe(code);
    expect(error.message).not.toContain("\n");
  });
