/** Pipes a stream through a program (`xz -dc`). Nothing piles up: the program is fed as fast as its output is taken. */
import { messageOf } from "../contract/errors.ts";
import { exitCodeOf, start } from "./spawn.ts";

/** Bytes of the program's standard error kept for the message when it fails. */
const errorLimit = 2000;

/** Why a filter failed, in the program's own words. */
export class FilterFailure extends Error {
  override readonly name = "FilterFailure";
}

/**
 * The output of `command` fed with `source`. Ends the program when the caller stops reading or the source fails.
 * Throws `FilterFailure` when the program ends with anything but 0, `hostMissing` when it is not installed.
 */
export async function* filterThrough(
  command: readonly string[],
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const child = start(command, { stdio: ["pipe", "pipe", "pipe"] });
  const { stdin, stdout, stderr } = child;
  if (
    stdin === undefined ||
    typeof stdin === "number" ||
    typeof stdout === "number" ||
    typeof stderr === "number"
  )
    throw new Error("the program was started with pipes");
  let stopped = false;
  let sourceFailure: { readonly error: unknown } | undefined;
  const feed = async () => {
    try {
      for await (const chunk of source) {
        if (stopped || !(await give(stdin, chunk))) break;
      }
    } catch (error) {
      sourceFailure = { error };
      child.kill();
    }
    await Promise.resolve(stdin.end()).catch(() => undefined);
  };
  const fed = feed();
  const complaint = readText(stderr);
  try {
    for await (const chunk of stdout ?? []) yield chunk;
    await child.exited;
    await fed;
    if (sourceFailure !== undefined) throw sourceFailure.error;
    const code = exitCodeOf(child);
    if (code !== 0) {
      const words = messageOf((await complaint).trim());
      throw new FilterFailure(`${command[0] ?? ""} ended with ${code}${words === "" ? "" : `: ${words}`}`);
    }
  } finally {
    stopped = true;
    child.kill();
    await child.exited;
  }
}

/** False when the program takes no more; its exit code says why. */
async function give(stdin: Bun.FileSink, chunk: Uint8Array): Promise<boolean> {
  try {
    await stdin.write(chunk);
    await stdin.flush();
    return true;
  } catch {
    return false;
  }
}

async function readText(stream: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream ?? []) if (text.length < errorLimit) text += decoder.decode(chunk);
  return text.slice(0, errorLimit);
}
