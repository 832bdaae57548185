import { expect, test } from "bun:test";
import { SharedWork } from "./shared-work.ts";

const never = new AbortController().signal;

test("work under one key is done once, and everyone hears of it", async () => {
  const shared = new SharedWork<number, string>();
  const gate = Promise.withResolvers<void>();
  let times = 0;
  const heard: string[] = [];
  const join = (who: string) =>
    shared.join(
      "layer",
      never,
      (progress) => heard.push(`${who} ${progress}`),
      async (_, emit) => {
        times++;
        await gate.promise;
        emit("half");
        return 7;
      },
    );
  const both = [join("a"), join("b")];
  gate.resolve();
  expect(await Promise.all(both)).toEqual([7, 7]);
  expect(times).toBe(1);
  expect(heard.sort()).toEqual(["a half", "b half"]);
  await join("c");
  expect(times).toBe(2);
});

test("what fails for the one that began it is tried again by those who joined", async () => {
  const shared = new SharedWork<number, never>();
  const first = Promise.withResolvers<number>();
  let tries = 0;
  const quiet = (): void => undefined;
  const one = shared.join("x", never, quiet, () => first.promise);
  const others = [1, 2].map(() => shared.join("x", never, quiet, async () => ++tries));
  first.reject(new Error("lost"));
  await expect(one).rejects.toThrow("lost");
  expect(await Promise.all(others)).toEqual([1, 1]);
});

test("one who leaves does not end what others wait for; the last one does, and waits for the end", async () => {
  const shared = new SharedWork<string, never>();
  const quiet = (): void => undefined;
  const aborts = [new AbortController(), new AbortController()] as const;
  let ended = false;
  const work = async (signal: AbortSignal): Promise<string> => {
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    await Bun.sleep(1);
    ended = true;
    throw new Error("ended");
  };
  const joins = aborts.map((abort) => shared.join("x", abort.signal, quiet, work));
  const outcomes = Promise.allSettled(joins);
  aborts[0].abort(new Error("first"));
  await expect(joins[0]).rejects.toThrow("first");
  expect(ended).toBe(false);
  aborts[1].abort(new Error("second"));
  await expect(joins[1]).rejects.toThrow("second");
  expect(ended).toBe(true);
  await outcomes;
});
