/**
 * The promises of the wall contract (wall.ts) as tests, run against every wall: `describeWall` in a wall's
 * `conformance.test.ts`. The image under test needs a busybox and the files of test/support/tiny-layer.ts.
 */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { Bench, type DefinePromise, type WallUnderTest } from "./conformance/bench.ts";
import { describeExec } from "./conformance/execs.ts";
import { describeFiles } from "./conformance/files.ts";
import { describeProcess, describeResources, describeRoot } from "./conformance/kernel.ts";
import {
  describeEnd,
  describeRecover,
  describeRemove,
  describeStartErrors,
} from "./conformance/life-cycle.ts";
import { describeSaved } from "./conformance/saved.ts";
import {
  describeAttachments,
  describeInput,
  describeOutput,
  describeTerminal,
} from "./conformance/streams.ts";

export function describeWall(name: string, subject: WallUnderTest): void {
  describe(`${name} wall`, () => {
    const bench = new Bench(subject);
    beforeAll(() => bench.open(), subject.timeout);
    afterAll(() => bench.close(), subject.timeout);
    const promise: DefinePromise = (title, body) => {
      test(
        title,
        async () => {
          try {
            await body();
          } finally {
            await bench.removeAll();
          }
        },
        subject.timeout,
      );
    };
    describeOutput(promise, bench);
    describeEnd(promise, bench);
    describeInput(promise, bench);
    describeTerminal(promise, bench);
    describeAttachments(promise, bench);
    describeStartErrors(promise, bench);
    describeExec(promise, bench);
    describeRemove(promise, bench);
    describeRecover(promise, bench, subject);
    if (subject.savesMemory) describeSaved(promise, bench);
    if (subject.hasKernel) {
      describeProcess(promise, bench);
      describeRoot(promise, bench);
      describeResources(promise, bench);
      describeFiles(promise, bench);
    }
  });
}
