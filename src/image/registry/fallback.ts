/** A mirror that answers, but with something else than was asked for: the next in line may have the right thing. */
import { type ErrorCode, isHullError } from "../../contract/errors.ts";
import type { RegistryClient } from "./client.ts";

/** What is said of bytes that are not those that were asked for. */
const wrong: readonly ErrorCode[] = ["digestMismatch", "corrupt", "tooLarge"];

/** Makes attempts, each of which passes over one mirror more, until one gives what is right or the registry itself has had its turn. */
export async function pastMirrors<T>(
  client: RegistryClient,
  attempt: (passed: number) => Promise<T>,
): Promise<T> {
  for (let passed = 0; ; passed++)
    try {
      return await attempt(passed);
    } catch (error) {
      const isWrong = wrong.some((code) => isHullError(error, code));
      if (!isWrong || passed >= client.mirrorCount || client.signal.aborted) throw error;
    }
}
