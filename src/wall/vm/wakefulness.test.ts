import { expect, test } from "bun:test";
import { Wakefulness } from "./wakefulness.ts";

test("a machine that is to go on for good is not stopped by whoever worked with its files before", async () => {
  const steps: string[] = [];
  let sleeps = true;
  const stopping = Promise.withResolvers<void>();
  const wakefulness = new Wakefulness({
    sleeps: () => sleeps,
    goOn: () => Promise.resolve(void steps.push("on")),
    stop: async () => {
      await stopping.promise;
      steps.push("stopped");
    },
  });
  (await wakefulness.awake())();
  await Bun.sleep(0);
  // The stop is under way.
  sleeps = false;
  const settled = wakefulness.settled().then(() => steps.push("settled"));
  stopping.resolve();
  await settled;
  expect(steps).toEqual(["on", "stopped", "settled"]);

  // It has not begun yet.
  sleeps = true;
  const release = await wakefulness.awake();
  release();
  sleeps = false;
  await wakefulness.settled();
  expect(steps.slice(3)).toEqual(["on"]);
});
