/** A machine's files, through a process of the agent's for each operation (guest/files). */
import type { FilesProcess } from "../files/files-by-process.ts";
import type { AgentConnection } from "./agent.ts";
import { AttachmentSet } from "./attachment.ts";
import { explainAgent } from "./failures.ts";
import { FieldWriter } from "./fields.ts";
import { verbs } from "./protocol.ts";
import { startTimeout } from "./start.ts";

const sigkill = 9;
/** Bytes of standard error that are kept. */
const messageLimit = 8192;

/** `release` is called once the process has ended or was given up. */
export async function startFilesInVm(
  connection: AgentConnection,
  name: string,
  release: () => void,
): Promise<FilesProcess> {
  const attachments = new AttachmentSet();
  const process = connection.addExec((chunks) => attachments.push(chunks));
  const attachment = attachments.add({
    write: (data) => process.write(data),
    endInput: () => process.endInput(),
    detached: () => undefined,
  });
  try {
    await connection.request(verbs.files, new FieldWriter().u32(process.handle), startTimeout);
  } catch (error) {
    connection.drop(process);
    release();
    throw explainAgent(error, name);
  }
  let ended = false;
  const exit = process.exit
    .then(
      ({ code }) => {
        connection.forget(process);
        return code;
      },
      (error: unknown) => {
        throw explainAgent(error, name);
      },
    )
    .finally(() => {
      ended = true;
      attachments.end();
      release();
    });
  exit.catch(() => undefined);
  let message = "";
  async function* standardOutput(): AsyncGenerator<Uint8Array> {
    for await (const { stream, data } of attachment.output)
      if (stream === "stdout") yield data;
      else if (message.length < messageLimit) message += Buffer.from(data).toString("utf8");
  }
  const output = standardOutput();
  return {
    output,
    write: (data) => attachment.write(data),
    endInput: () => attachment.endInput(),
    async wait() {
      // The message comes by the same way as the output.
      for await (const _ of output);
      return { code: await exit, message };
    },
    kill() {
      attachment.detach();
      if (ended) return;
      const fields = new FieldWriter().u32(process.handle).u32(sigkill);
      connection.request(verbs.signal, fields).catch(() => undefined);
    },
  };
}
