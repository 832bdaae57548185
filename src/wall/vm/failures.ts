/** What the agent's refusals and silences mean to the user. */
import { HullError, messageOf } from "../../contract/errors.ts";
import type { ProcessSpec } from "../wall.ts";
import { AgentLost, AgentRefusal } from "./agent.ts";
import { ProtocolError } from "./fields.ts";
import { results } from "./protocol.ts";

/** The error to throw for a failed start of a process. */
export function explainStart(error: unknown, name: string, process: ProcessSpec): unknown {
  if (!(error instanceof AgentRefusal)) return explainAgent(error, name);
  const cause = { cause: error };
  const command = process.args[0] ?? "";
  switch (error.result) {
    case results.commandNotFound:
      return new HullError("commandNotFound", { command }, cause);
    case results.commandNotExecutable:
      return new HullError("commandNotExecutable", { command, why: error.message }, cause);
    case results.workingDirectory:
      return new HullError(
        "workingDirectoryInvalid",
        { path: process.cwd, why: error.message.toLowerCase() },
        cause,
      );
    case results.noSuchUser:
      return new HullError("noSuchUser", { user: process.user }, cause);
    case results.noSuchProcess:
      return new HullError("workloadNotRunning", { name }, cause);
    default:
      return new HullError("startFailed", { wall: "vm", name, why: error.message }, cause);
  }
}

/** The error to throw when a machine's memory could not be saved; what the user can act on stays as it is. */
export function explainSave(code: "cannotSuspend" | "cannotFork", name: string, error: unknown): unknown {
  if (error instanceof HullError && !["agentFailed", "internal", "startFailed"].includes(error.code))
    return error;
  return new HullError(code, { name, why: messageOf(error) }, { cause: error });
}

/** The error to throw for any other failed request. */
export function explainAgent(error: unknown, name: string): unknown {
  if (error instanceof AgentRefusal && error.result === results.noSuchProcess)
    return new HullError("workloadNotRunning", { name }, { cause: error });
  if (error instanceof AgentRefusal)
    return new HullError("agentFailed", { name, why: `refused: ${error.message}` }, { cause: error });
  if (error instanceof AgentLost || error instanceof ProtocolError)
    return new HullError("agentFailed", { name, why: messageOf(error) }, { cause: error });
  return error;
}
