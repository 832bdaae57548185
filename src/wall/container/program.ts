/**
 * Whether a program can be executed in a container, found before the runtime tries. A runtime looks the program
 * up, too, but once it has let the container go, a missing interpreter is only a line on the workload's standard
 * error and some exit code.
 */
import { fstatSync, readdirSync, readSync } from "node:fs";
import { HullError } from "../../contract/errors.ts";
import { withFileInRoot } from "../../host/rooted.ts";
import { errnoNameOf } from "../../host/system-error.ts";
import type { ProcessSpec, SandboxSpec } from "../wall.ts";

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Throws `commandNotFound` or `commandNotExecutable` for a command that cannot run in `root`. */
export function checkProgram(
  root: string,
  { args, env, cwd }: Pick<ProcessSpec, "args" | "env" | "cwd">,
): void {
  const command = args[0] ?? "";
  if (command === "") throw new HullError("commandNotFound", { command: '""' });
  let refusal: string | undefined;
  for (const path of candidates(command, env, cwd)) {
    const verdict = withFileInRoot(root, path, (file) => judge(file, root));
    if (verdict === "executable") return;
    if (verdict === "no interpreter") throw new HullError("commandNotFound", { command });
    // The search goes on past what cannot be executed, and past directories.
    refusal ??= verdict;
  }
  throw refusal === undefined
    ? new HullError("commandNotFound", { command })
    : new HullError("commandNotExecutable", { command, why: refusal });
}

/**
 * The same for a root file system without the container's mounts: what is not found may be on one of them, and is
 * the runtime's to look for.
 */
export function checkProgramWithoutMounts(root: string, spec: Pick<SandboxSpec, "process" | "mounts">): void {
  const hasBinds = (spec.mounts ?? []).some(({ type }) => type === "bind");
  if (!hasBinds) checkProgram(root, spec.process);
}

function candidates(command: string, env: readonly string[], cwd: string): string[] {
  if (command.startsWith("/")) return [command];
  if (command.includes("/")) return [`${cwd}/${command}`];
  const path = env.find((variable) => variable.startsWith("PATH="))?.slice("PATH=".length) ?? defaultPath;
  return path
    .split(":")
    .map((directory) => `${directory.startsWith("/") ? "" : `${cwd}/`}${directory}/${command}`);
}

const headBytes = 4096;
const anyExecuteBit = 0o111;

/** `executable`, `no interpreter`, or why it cannot be executed. */
function judge(file: number, root: string): string {
  const status = fstatSync(file);
  if (status.isDirectory()) return "is a directory";
  if (!status.isFile()) return "not a regular file";
  if ((status.mode & anyExecuteBit) === 0) return "it has no execute permission";
  const buffer = Buffer.alloc(headBytes);
  // An empty file is not opened for reading.
  const head = buffer.subarray(0, status.size === 0 ? 0 : readSync(file, buffer, 0, headBytes, 0));
  const interpreter = interpreterOf(head);
  if (interpreter === undefined) return hasForeignFormats() ? "executable" : "exec format error";
  if (interpreter === "") return "executable";
  const found = withFileInRoot(root, interpreter, () => true);
  return found === true ? "executable" : "no interpreter";
}

/**
 * The interpreter that a program names: in its `#!` line, or as its dynamic linker. Empty when it needs none, or
 * names one past `head`, or one that is not UTF-8; undefined for what is no program at all.
 */
export function interpreterOf(head: Buffer): string | undefined {
  if (head.subarray(0, 2).toString("latin1") === "#!") {
    const line = head.toString("latin1", 2).split("\n", 1)[0] ?? "";
    const path = textOf(line.trim().split(/[ \t\0]/, 1)[0] ?? "");
    return path.startsWith("/") ? path : "";
  }
  if (head.length < 64 || head.subarray(0, 4).toString("latin1") !== "\x7fELF") return undefined;
  const [class64, littleEndian] = [head[4] === 2, head[5] === 1];
  return class64 && littleEndian ? elfInterpreter(head) : "";
}

/** The content of the PT_INTERP segment (System V ABI, chapter 5). */
function elfInterpreter(head: Buffer): string {
  const tableOffset = Number(head.readBigUInt64LE(32));
  const entrySize = head.readUInt16LE(54);
  const count = head.readUInt16LE(56);
  for (let index = 0; index < count; index += 1) {
    const entry = tableOffset + index * entrySize;
    if (entry + 40 > head.length) return "";
    if (head.readUInt32LE(entry) !== 3) continue;
    const offset = Number(head.readBigUInt64LE(entry + 8));
    const size = Number(head.readBigUInt64LE(entry + 32));
    if (offset + size > head.length) return "";
    return textOf(head.toString("latin1", offset, offset + size).split("\0", 1)[0] ?? "");
  }
  return "";
}

/** Of a string of bytes; empty when they are no text. */
function textOf(bytes: string): string {
  const text = Buffer.from(bytes, "latin1").toString("utf8");
  return text.includes("\ufffd") ? "" : text;
}

/** Whether the kernel was told of more formats (binfmt_misc) than can be known here. */
function hasForeignFormats(): boolean {
  try {
    return readdirSync("/proc/sys/fs/binfmt_misc").some((name) => name !== "register" && name !== "status");
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(errnoNameOf(error) ?? "")) return false;
    throw error;
  }
}
