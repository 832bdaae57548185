/** Errors of a Dockerfile, with the line that they are on. */
import { HullError } from "../../../contract/errors.ts";

export function dockerfileError(line: number, why: string): HullError {
  return new HullError("dockerfile", { line, why });
}
