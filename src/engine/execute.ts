/**
 * Carries out the steps of a plan, one after the other. A step that acquires something hands back its undo; when
 * a later step fails, the undos run in reverse and the first error is thrown.
 */
import { messageOf } from "../contract/errors.ts";
import type { Logger } from "../contract/logger.ts";
import { now } from "./clock.ts";
import type { Failpoint } from "./failpoint.ts";
import type { Step } from "./plan.ts";

export type Undo = () => void | Promise<void>;
export type PerformStep = (step: Step) => Promise<Undo | undefined>;

export async function execute(
  steps: readonly Step[],
  perform: PerformStep,
  options: { failpoint: Failpoint; log: Logger },
): Promise<void> {
  const undos: { name: string; undo: Undo }[] = [];
  try {
    for (const step of steps) {
      const begun = now();
      const undo = await perform(step);
      options.log.debug("step", { step: step.name, milliseconds: Math.round((now() - begun) * 100) / 100 });
      if (undo !== undefined) undos.push({ name: step.name, undo });
      options.failpoint(step.name);
    }
  } catch (error) {
    for (const { name, undo } of undos.reverse()) {
      try {
        await undo();
      } catch (undoError) {
        options.log.error("could not undo a step", { step: name, why: messageOf(undoError) });
      }
    }
    throw error;
  }
}
