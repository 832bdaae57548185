/** Volumes whose server is gone, whose disk is full, and daemons that are killed while they make them. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { startDaemon } from "../support/daemon.ts";
import { mounted, scratch, smallDisk } from "../support/disks.ts";
import { hungMount } from "../support/hung-mount.ts";
import { until } from "../support/until.ts";

const timeout = 120_000;

describe("a server of volumes", () => {
  test(
    "that is gone is an error of who wants it, and the daemon waits for nobody",
    async () => {
      await using hung = await hungMount();
      await using daemon = await startDaemon();
      const waiting = daemon.hull(["run", "--rm", "-v", `${hung.path}:/v`, "hull/tiny", "true"]);
      const other = await daemon.hull(["run", "--rm", "hull/tiny", "echo", "others go on"]);
      expect(other).toMatchObject({ code: 0, stdout: "others go on\n" });
      const { code, stderr } = await waiting;
      expect([code, stderr]).toEqual([125, expect.stringContaining(`${hung.path} does not answer`)]);
      expect(await daemon.hullOk(["ps", "-aq"])).toBe("");
    },
    timeout,
  );

  test(
    "of a network is asked with the options that were given, and named when it cannot be",
    async () => {
      await using daemon = await startDaemon();
      const options = [
        "-o",
        "type=nfs",
        "-o",
        "device=:/export",
        "-o",
        "o=addr=127.0.0.1,soft,nfsvers=4.2,timeo=1,retrans=1",
      ];
      await daemon.hullOk(["volume", "create", ...options, "far"]);
      const failed = await daemon.hull(["run", "--name", "user", "-v", "far:/v", "hull/tiny", "true"]);
      expect([failed.code, failed.stderr]).toEqual([
        125,
        expect.stringContaining("cannot mount :/export (nfs): "),
      ]);
      expect(await daemon.hullOk(["inspect", "-f", "{{.State.Status}}", "user"])).toBe("created");
      await daemon.hullOk(["rm", "user"]);
      await daemon.hullOk(["volume", "rm", "far"]);
    },
    timeout,
  );
});

test(
  "a disk that is full is so inside a volume and nowhere else",
  async () => {
    await using directory = await scratch();
    const image = await smallDisk(directory.path);
    await using daemon = await startDaemon();
    const options = ["-o", "type=ext4", "-o", `device=${image}`, "-o", "o=loop"];
    await daemon.hullOk(["volume", "create", ...options, "small"]);
    const script =
      "dd if=/dev/zero of=/v/f bs=64k 2>&1; echo x > /v/g || rm /v/f; echo room > /v/g; cat /v/g";
    for (const wall of ["container", "vm"]) {
      const run = ["run", "--rm", "--isolation", wall, "-v", "small:/v", "hull/tiny", "sh", "-c", script];
      const { stdout } = await daemon.hull(run);
      expect(stdout).toContain("No space left on device");
      expect(stdout).toEndWith("room\n");
    }
    // A full disk of its own hinders no removal, and its files are not the volume's to remove.
    await daemon.hullOk(["volume", "rm", "small"]);
    await using again = await mounted("-o", "loop", image);
    expect(readdirSync(again.path)).toContain("g");
  },
  timeout,
);

test(
  "a daemon that is killed while a layer of a given size is made leaves nothing of it",
  async () => {
    await using daemon = await startDaemon();
    const workloads = join(daemon.root, "workloads");
    await daemon.hullOk(["run", "--rm", "hull/tiny", "true"]);
    for (const delay of [0, 10, 30]) {
      const running = daemon.spawnHull([
        "run",
        "-d",
        "--storage-opt",
        "size=64m",
        "hull/tiny",
        "sleep",
        "600",
      ]);
      await until("its directory is made", () => existsSync(workloads) && readdirSync(workloads).length > 0);
      await Bun.sleep(delay);
      await daemon.kill9();
      await running.result;
      await daemon.start();
      const ids = (await daemon.hullOk(["ps", "-aq"])).split("\n").filter((id) => id !== "");
      // What was recorded as made can be started; and all of it can be removed.
      for (const id of ids) {
        await daemon.hullOk(["start", id]);
        expect(await daemon.hullOk(["exec", id, "sh", "-c", "echo kept > /file && cat /file"])).toBe("kept");
        await daemon.hullOk(["rm", "-f", id]);
      }
      expect(readdirSync(workloads)).toEqual([]);
    }
    expect(
      await daemon.hullOk(["run", "--rm", "--storage-opt", "size=64m", "hull/tiny", "echo", "well"]),
    ).toBe("well");
  },
  timeout,
);
