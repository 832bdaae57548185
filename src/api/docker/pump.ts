/** Carries a live attachment over a client's connection, both ways, each at the pace of the slower side. */
import { messageOf } from "../../contract/errors.ts";
import type { Attachment, OutputChunk } from "../../wall/wall.ts";
import type { ByteChannel } from "../channel.ts";
import { DetachScanner } from "./detach-keys.ts";
import { frameOf } from "./frames.ts";

interface PumpOptions {
  readonly terminal: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Whether the end of the client's input is the end of the program's. */
  readonly endsInput: boolean;
  /** Undefined: no keys let go. */
  readonly detachKeys: Uint8Array | undefined;
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
  const scanner =
    options.detachKeys === undefined || !options.terminal ? undefined : new DetachScanner(options.detachKeys);
  for await (const data of channel.input) {
    const { pass, detached } = scanner?.scan(data) ?? { pass: data, detached: false };
    if (pass.length > 0) await attachment.write(pass);
    if (!detached) continue;
    attachment.detach();
    return;
  }
  if (options.endsInput) await attachment.endInput();
}

async function drain(input: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of input);
}
