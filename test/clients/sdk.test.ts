/** Hull's own client, as a program uses it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Hull } from "../../src/sdk/main.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { testTimeout, walls } from "../support/scenario.ts";

let daemon: TestDaemon;
let hull: Hull;

beforeAll(async () => {
  daemon = await startDaemon();
  hull = connect({ socket: daemon.socket });
}, testTimeout);
afterAll(async () => {
  hull.close();
  await daemon[Symbol.asyncDispose]();
}, testTimeout);

for (const isolation of walls) {
  describe(`SDK, ${isolation} wall`, () => {
    test(
      "a box runs programs, feeds and reads them, and is gone at the end of its scope",
      async () => {
        let id = "";
        {
          await using box = await hull.run({
            image: "hull/tiny",
            isolation,
            command: ["sh", "-c", "echo up; exec sleep 1000"],
            env: { GREETING: "hello" },
            hostname: "boxed",
          });
          id = box.id;
          const greeting = await box.exec([
            "sh",
            "-c",
            "echo $GREETING from $(hostname); echo oops >&2; exit 3",
          ]);
          expect(greeting.code).toBe(3);
          expect(greeting.stdout.toString()).toBe("hello from boxed\n");
          expect(greeting.stderr.toString()).toBe("oops\n");

          const megabytes = Buffer.alloc(3 * 1024 * 1024, "0123456789abcdef\n");
          const echoed = await box.exec(["cat"], { input: megabytes });
          expect(Bun.hash(echoed.stdout)).toBe(Bun.hash(megabytes));

          // Ends before it has read all of its input: that is no error of the exec.
          expect(await box.exec(["true"], { input: megabytes })).toMatchObject({ code: 0 });

          const runs = Array.from({ length: 5 }, (_, index) => box.exec(["echo", String(index)]));
          expect((await Promise.all(runs)).map(({ stdout }) => stdout.toString())).toEqual([
            "0\n",
            "1\n",
            "2\n",
            "3\n",
            "4\n",
          ]);

          const logged: Uint8Array[] = [];
          for await (const { data } of box.logs()) logged.push(data);
          expect(Buffer.concat(logged).toString()).toBe("up\n");
          await expect(box.exec(["yes"], { outputLimit: 1000 })).rejects.toThrow("more than 1000 bytes");
        }
        await expect(hull.containers.inspect(id)).rejects.toMatchObject({ status: 404 });
      },
      testTimeout,
    );

    test(
      "an attached stream carries input and output until the program ends",
      async () => {
        await using box = await hull.run({ image: "hull/tiny", isolation, command: ["cat"], stdin: true });
        using streams = await box.attach({ stdin: true });
        const ended = box.wait();
        await streams.write("over ");
        await streams.write("and out");
        const parts: Uint8Array[] = [];
        for await (const { data } of streams.output) {
          parts.push(data);
          if (Buffer.concat(parts).toString() === "over and out") await box.kill();
        }
        expect(await ended).toEqual({ code: 137, error: undefined });
      },
      testTimeout,
    );
  });
}

test(
  "a workload that cannot start leaves nothing",
  async () => {
    await expect(hull.run({ image: "hull/tiny", command: ["nosuch"] })).rejects.toMatchObject({
      code: "commandNotFound",
    });
    await expect(hull.run({ image: "hull/none" })).rejects.toMatchObject({ status: 404 });
    await daemon.waitUntilEmpty();
  },
  testTimeout,
);
