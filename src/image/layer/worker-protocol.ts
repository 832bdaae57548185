/**
 * What the daemon and a process that converts layers say to each other: one JSON document a line, commands on the
 * process's standard input, answers on its standard output. The layer's bytes go through the file that the daemon
 * writes them to.
 */
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import { type ErrorCode, errorTable, HullError, messageOf } from "../../contract/errors.ts";
import type { Conversion } from "./convert.ts";

export const commandSchema = v.union([
  v.object({
    /** `blob` is the file that grows while it arrives. */
    convert: v.object({ what: v.string(), blob: v.string(), layer: v.string(), plain: v.string() }),
  }),
  /** More of the blob is in its file. */
  v.object({ more: v.literal(true) }),
  /** All of it is. */
  v.object({ end: v.literal(true) }),
]);

export type WorkerCommand = v.InferOutput<typeof commandSchema>;

const digest = v.custom<Conversion["diffId"]>(
  (value) => typeof value === "string" && /^sha256:[0-9a-f]{64}$/.test(value),
);

export const answerSchema = v.union([
  /** Not the last one: so many bytes of the blob have been taken in. */
  v.object({ taken: v.number() }),
  v.object({
    converted: v.object({
      diffId: digest,
      compression: v.picklist(["none", "gzip", "zstd", "xz"]),
      layerBytes: v.number(),
      plainBytes: v.optional(v.number()),
    }),
  }),
  v.object({
    failed: v.object({ code: v.string(), details: dictionary(v.union([v.string(), v.number()])) }),
  }),
]);

export type WorkerAnswer = v.InferOutput<typeof answerSchema>;

/** What a conversion ends with. */
export type LastAnswer = Exclude<WorkerAnswer, { taken: unknown }>;

export function failureOf(error: unknown): LastAnswer {
  return error instanceof HullError
    ? { failed: { code: error.code, details: { ...error.details } } }
    : { failed: { code: "internal", details: { what: messageOf(error) } } };
}

export function errorOf({ failed }: Extract<WorkerAnswer, { failed: unknown }>): HullError {
  const known = Object.hasOwn(errorTable, failed.code);
  // The key was looked for in the table.
  return new HullError(known ? (failed.code as ErrorCode) : "internal", failed.details);
}

/** The lines of a stream of bytes, without their ends. */
export async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
