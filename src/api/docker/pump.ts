/** Carries a live attachment over a client's connection, both ways, each at the pace of the slower side. */

import { DetachScanner } from "../../contract/detach-keys.ts";
import { messageOf } from "../../contract/errors.ts";
import type { Attachment, OutputChunk } from "../../wall/wall.ts";
import type { ByteChannel } from "../channel.ts";
import { frameOf } from "./frames.ts";

interface PumpOptions {
  readonly terminal: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Whether the end of the client's input is the end of the program's. */
  readonly endsInput: boolean;
  /** What lets go of a terminal. */
  readonly detachKeys: Uint8Array;
}

/** Resolves when the output has ended or the client let go. */
export async function pump(
  channel: ByteChannel,
  attachment: Attachment,
  options: PumpOptions,
  output: AsyncIterable<OutputChunk> = attachment.output,
): Promise<void> {
  const detach = (): void => attachment.detach();
  if (channel.gone.aborted) detach();
  else channel.gone.addEventListener("abort", detach, { once: true });
  const input = options.stdin
    ? pumpInput(channel, attachment, options)
    : // Reading on is how the client's leaving is seen.
      drain(channel.input);
  input.catch(() => {});
  try {
    for await (const chunk of output)
      if (options[chunk.stream]) await channel.write(options.terminal ? chunk.data : frameOf(chunk));
  } catch (error) {
    if (!channel.gone.aborted) await channel.write(errorChunk(messageOf(error), options.terminal));
  } finally {
    channel.gone.removeEventListener("abort", detach);
    attachment.detach();
    channel.end();
  }
}

/** A message on the client's standard error. */
export function errorChunk(message: string, terminal: boolean): Uint8Array {
  const data = Buffer.from(`${message}${terminal ? "\r" : ""}\n`);
  return terminal ? data : frameOf({ stream: "stderr", data });
}

async function pumpInput(channel: ByteChannel, attachment: Attachment, options: PumpOptions): Promise<void> {
  const scanner = new DetachScanner(options.terminal ? options.detachKeys : new Uint8Array(0));
  for await (const typed of channel.input) {
    const { data, detach } = scanner.scan(typed);
    if (data.length > 0) await attachment.write(data);
    if (!detach) continue;
    attachment.detach();
    return;
  }
  if (options.endsInput) await attachment.endInput();
}

async function drain(input: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of input);
}
