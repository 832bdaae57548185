/** How a workload that the client showed has ended. */
import { ConnectionError, type PendingExit } from "../../sdk/main.ts";

/** The workload's exit code. A daemon that goes away takes the client with it, but not the workload. */
export async function exitCodeOf(exit: PendingExit, id: string): Promise<number> {
  const { code, error } = await exit.result.catch((cause: unknown) => {
    if (!(cause instanceof ConnectionError)) throw cause;
    const next = `see 'hull attach ${id.slice(0, 12)}'`;
    throw new Error(`lost the connection to the hull daemon; the workload goes on: ${next}`, { cause });
  });
  if (error !== undefined) throw new Error(error);
  return code;
}
