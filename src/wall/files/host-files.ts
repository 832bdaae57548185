/** Files of the host through the program hull-files (guest/host): one process for each operation. */
import { existsSync } from "node:fs";
import { HullError } from "../../contract/errors.ts";
import { exitCodeOf, start } from "../../host/spawn.ts";
import type { Files } from "../files.ts";
import { FilesByProcess, type FilesProcess } from "./files-by-process.ts";

/** The files of a directory; for its parts' names nothing outside of it exists. */
export function directoryFiles(program: string, directory: string): Files {
  return new FilesByProcess({
    name: directory,
    mounts: [],
    start() {
      requireProgram(program);
      return Promise.resolve(spawnFiles([program, "-", directory], undefined, new DisposableStack()));
    },
  });
}

export function requireProgram(program: string): void {
  if (existsSync(program)) return;
  throw new HullError("hostMissing", { what: `the program ${program}`, remedy: "run `./setup`" });
}

/** Bytes of standard error that are kept. */
const messageLimit = 8192;

/** Starts the program; `acquired` is disposed of when it has ended. `nameSpace` becomes its descriptor 3. */
export function spawnFiles(
  command: readonly string[],
  nameSpace: number | undefined,
  acquired: Disposable,
): FilesProcess {
  const child = start(command, {
    stdio: ["pipe", "pipe", "pipe", ...(nameSpace === undefined ? [] : [nameSpace])],
  });
  const { stdin, stdout, stderr } = child;
  void child.exited.then(() => acquired[Symbol.dispose]());
  if (
    stdin === undefined ||
    typeof stdin === "number" ||
    typeof stdout === "number" ||
    stdout === undefined ||
    typeof stderr === "number"
  )
    throw new Error("the program was started with pipes");
  const message = readMessage(stderr);
  return {
    output: stdout,
    async write(data) {
      try {
        await stdin.write(data);
        await stdin.flush();
      } catch {
        // It has ended, and its exit code says why.
      }
    },
    async endInput() {
      await Promise.resolve(stdin.end()).catch(() => undefined);
    },
    async wait() {
      await child.exited;
      return { code: exitCodeOf(child), message: await message };
    },
    kill() {
      if (child.exitCode === null) child.kill("SIGKILL");
    },
  };
}

async function readMessage(stream: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream ?? []) if (text.length < messageLimit) text += decoder.decode(chunk);
  return text;
}
