/** What is in volumes is reached by `cp`, running or not, and belongs to no image or export. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onBothWalls, testTimeout } from "../support/scenario.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "hull-volume-files-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

onBothWalls("files in volumes", ({ wall, ok, hull, name }) => {
  test(
    "cp goes into volumes and binds; export, diff and commit do not",
    async () => {
      const [box, volume] = [name("cp"), name("cp-data")];
      const [given, source] = [join(directory, `${wall}.txt`), join(directory, `${wall}-bound`)];
      writeFileSync(given, "from outside\n");
      mkdirSync(source);
      const mounts = [
        "-v",
        `${volume}:/v`,
        "-v",
        `${source}:/b`,
        "-v",
        `${source}:/fixed:ro`,
        "--tmpfs",
        "/t",
      ];
      const create = ["create", "--isolation", wall, "--name", box, ...mounts, "hull/tiny", "sleep", "600"];
      await ok(create);
      const { Mountpoint } = JSON.parse(await ok(["volume", "inspect", volume]))[0];
      const look = async (step: string): Promise<void> => {
        await ok(["cp", given, `${box}:/v/${step}`]);
        expect(readFileSync(join(Mountpoint, step), "utf8")).toBe("from outside\n");
        await ok(["cp", given, `${box}:/b/${step}`]);
        expect(readFileSync(join(source, step), "utf8")).toBe("from outside\n");
        writeFileSync(join(source, "back"), step);
        await ok(["cp", `${box}:/b/back`, join(directory, `${wall}-${step}`)]);
        expect(readFileSync(join(directory, `${wall}-${step}`), "utf8")).toBe(step);
        expect((await hull(["cp", given, `${box}:/fixed/new`])).code).toBe(1);
      };
      await look("created");
      await ok(["start", box]);
      await look("running");
      await ok(["stop", "-t", "0", box]);
      await look("stopped");
      expect(await ok(["diff", box])).not.toContain("/v/");
      const tar = join(directory, `${wall}.tar`);
      await ok(["export", "-o", tar, box]);
      expect(readFileSync(tar).includes("from outside")).toBe(false);
      await ok(["rm", box]);
      await ok(["volume", "rm", volume]);
    },
    testTimeout,
  );
});
