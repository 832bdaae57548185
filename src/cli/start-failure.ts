/** Exit codes of a workload that could not be started, as shells have them. */
import { ApiError } from "../sdk/main.ts";

export const exitCodes = { ownError: 125, notExecutable: 126, notFound: 127 } as const;

/** From the error's code, or from its words for daemons that have no codes. */
export function startFailureCode(error: unknown): number {
  if (!(error instanceof ApiError)) return exitCodes.ownError;
  if (error.code === "commandNotFound") return exitCodes.notFound;
  if (error.code === "commandNotExecutable") return exitCodes.notExecutable;
  if (error.code !== undefined) return exitCodes.ownError;
  if (/executable file not found|no such file or directory/.test(error.message)) return exitCodes.notFound;
  if (/permission denied|is a directory/.test(error.message)) return exitCodes.notExecutable;
  return exitCodes.ownError;
}
