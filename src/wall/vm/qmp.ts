/**
 * The QEMU Machine Protocol (QEMU, docs/interop/qmp-spec.rst): a few commands over a connection of their own, so
 * nothing is held while nothing is asked. QEMU may be in the guest's hands: lines are bounded and parsed.
 */
import * as v from "valibot";
import { messageOf } from "../../contract/errors.ts";
import { printable } from "../../contract/printable.ts";
import { dial } from "./dial.ts";

const lineLimit = 256 * 1024;

const message = v.union([
  v.looseObject({ QMP: v.looseObject({}) }),
  v.looseObject({ event: v.string() }),
  v.looseObject({ error: v.object({ class: v.string(), desc: v.string() }) }),
  v.looseObject({ return: v.unknown() }),
]);
type Message = v.InferOutput<typeof message>;

/** What QEMU says in an answer, for whoever reads an error. */
export const words = v.pipe(v.string(), v.transform(printable));

/** The answer to `query-migrate`; QEMU that has not begun says nothing. */
export const migrationSchema = v.looseObject({
  status: v.optional(words, "none"),
  "error-desc": v.optional(words),
});

export interface QmpOptions {
  /** Milliseconds until the answer. */
  readonly timeout?: number;
  /** Milliseconds until there is a connection. */
  readonly dialTimeout?: number;
  /** Ends the attempts to connect. */
  readonly signal?: AbortSignal;
}

export interface QmpCommand {
  readonly execute: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** Runs commands one after the other and resolves with what the last one returned. */
export async function qmp(
  path: string,
  run: string | readonly QmpCommand[],
  options: QmpOptions = {},
): Promise<unknown> {
  const socket = await dial(path, Date.now() + (options.dialTimeout ?? 2000), options.signal).catch(
    (error: unknown) => {
      throw new Error(`QEMU's monitor cannot be reached: ${messageOf(error)}`, { cause: error });
    },
  );
  const asked: readonly QmpCommand[] = typeof run === "string" ? [{ execute: run }] : run;
  const commands: QmpCommand[] = [{ execute: "qmp_capabilities" }, ...asked];
  let command = asked[0]?.execute ?? "";
  let rest = "";
  return new Promise<unknown>((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`QEMU's monitor ${why}`));
    const timer = setTimeout(() => fail(`did not answer ${command} in time`), options.timeout ?? 10_000);
    const next = (): boolean => {
      const following = commands.shift();
      if (following === undefined) return false;
      if (asked.includes(following)) command = following.execute;
      socket.write(`${JSON.stringify(following)}\n`);
      return true;
    };
    const receive = (received: Message): void => {
      if ("event" in received) return;
      if ("error" in received) fail(`refused ${command}: ${printable(String(Object(received.error).desc))}`);
      // Each answer, and the greeting before them, asks for the next command; the last one is the result.
      else if (!next()) resolve("return" in received ? received.return : undefined);
    };
    socket.on("data", (data) => {
      rest += data.toString("utf8");
      if (rest.length > lineLimit) return fail("sent a line that is too long");
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      try {
        for (const line of lines) receive(v.parse(message, JSON.parse(line)));
      } catch (error) {
        fail(`sent something else than QMP: ${printable(messageOf(error))}`);
      }
    });
    socket.on("error", (error) => fail(`broke off: ${error.message}`));
    socket.on("close", () => {
      clearTimeout(timer);
      fail("closed the connection");
    });
  }).finally(() => socket.destroy());
}
