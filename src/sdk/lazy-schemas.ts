/** The schemas of answers, loaded when the first answer is to be checked by one. */
import type * as Schemas from "./schemas.ts";

let loading: Promise<typeof Schemas> | undefined;

export async function checked<Name extends Schemas.AnswerName>(
  name: Name,
  value: unknown,
): Promise<ReturnType<typeof Schemas.checkAnswer<Name>>> {
  loading ??= import("./schemas.ts");
  return (await loading).checkAnswer(name, value);
}
