/** One more process in a running VM. Its session ends with the daemon; the process runs on. */
import type { ExecSession, ExecSpec, ExitStatus, TerminalSize } from "../wall.ts";
import type { AgentConnection } from "./agent.ts";
import type { AgentProcess } from "./agent-process.ts";
import { AttachmentSet } from "./attachment.ts";
import { explainAgent, explainStart } from "./failures.ts";
import { FieldWriter } from "./fields.ts";
import { verbs } from "./protocol.ts";
import { exitStatusOf, startBody, startTimeout } from "./start.ts";

export async function execInVm(
  connection: AgentConnection,
  spec: ExecSpec,
  name: string,
): Promise<ExecSession> {
  const attachments = new AttachmentSet();
  const body = startBody(spec.process);
  const process = connection.addExec((chunks) => attachments.push(chunks));
  const attachment = spec.attach ? attachments.add(inputOf(process, spec)) : undefined;
  let pid: number;
  try {
    // The handle is taken in the order of the requests, as the agent wants it.
    const handle = new FieldWriter().u32(process.handle).bytes(body);
    pid = (await connection.request(verbs.start, handle, startTimeout)).u32();
  } catch (error) {
    connection.drop(process);
    attachments.end();
    throw explainStart(error, name, spec.process);
  }
  if (!spec.attach && spec.process.stdin) void process.endInput();
  const ended = awaitEnd(connection, process, attachments, name);
  ended.catch(() => undefined);
  return {
    attachment,
    pid,
    wait: () => ended,
    resize: async (size: TerminalSize) => {
      const fields = new FieldWriter().u32(process.handle).u16(size.columns).u16(size.rows);
      await connection.request(verbs.resize, fields).catch((error: unknown) => {
        throw explainAgent(error, name);
      });
    },
  };
}

async function awaitEnd(
  connection: AgentConnection,
  process: AgentProcess,
  attachments: AttachmentSet,
  name: string,
): Promise<ExitStatus> {
  try {
    const exit = await process.exit;
    connection.forget(process);
    return exitStatusOf(exit);
  } catch (error) {
    throw explainAgent(error, name);
  } finally {
    attachments.end();
  }
}

function inputOf(process: AgentProcess, spec: ExecSpec) {
  if (!spec.process.stdin) return undefined;
  return {
    write: (data: Uint8Array) => process.write(data),
    endInput: () => process.endInput(),
    // Nobody else can ever write to it.
    detached: () => void process.endInput(),
  };
}
