/** Images of as many layers as Docker allows (127), and of what templates of machines have places for and no more. */
import { expect, test } from "bun:test";
import { onBothWalls, testTimeout } from "../support/scenario.ts";
import { stackedImage } from "../support/stacked-image.ts";

onBothWalls("layers", ({ run, hull, ok, wall }) => {
  // A template with places for 40 takes long to make; templates.test.ts has smaller ones.
  for (const count of wall === "vm" ? [127] : [40, 127]) {
    test(
      `an image of ${count} layers shows what all of them have, and the last one's of what many have`,
      async () => {
        const name = `stacked:${wall}-${count}`;
        await ok(["load"], { stdin: stackedImage(count, name) });
        const last = count - 1;
        const result = await run([
          "--rm",
          name,
          "sh",
          "-c",
          `cat /n/1 /n/${last} /last && ls /n | busybox wc -l`,
        ]);
        const gone = Math.floor(last / 10);
        expect(result).toMatchObject({
          code: 0,
          stdout: `layer 1\nlayer ${last}\n${last}\n${last - gone}\n`,
        });
        expect((await hull(["rmi", name])).code).toBe(0);
      },
      testTimeout,
    );
  }
});
