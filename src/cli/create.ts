import { makeWorkload } from "./make-workload.ts";
import { attachedOf, workloadFlags, workloadRequest } from "./parse/workload.ts";
import { exitCodes } from "./start-failure.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "create [OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Makes a workload from an image without starting it, and prints its id.",
  flags: workloadFlags,
  arguments: [1],
  optionsFirst: true,
  failureCode: exitCodes.ownError,
  async action(context, { options, args }) {
    const request = workloadRequest(options, args, attachedOf(options, false));
    const id = await makeWorkload(context, await context.hull(), request, options);
    await context.stdout.line(id);
    return 0;
  },
});
