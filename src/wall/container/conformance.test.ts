import { afterAll, beforeAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeTinyLayer, type TinyLayer } from "../../../test/support/tiny-layer.ts";
import { describeWall } from "../conformance.ts";
import { findMonitor } from "../oci/monitor.ts";
import { createContainerWall } from "./container-wall.ts";

const stateDirectory = mkdtempSync(join(tmpdir(), "container-wall-"));
let layer: TinyLayer | undefined;

beforeAll(async () => {
  layer = await makeTinyLayer();
});

afterAll(async () => {
  await layer?.[Symbol.asyncDispose]();
  rmSync(stateDirectory, { recursive: true, force: true });
});

describeWall("container", {
  makeWall: () =>
    createContainerWall({
      stateDirectory,
      runtime: "crun",
      conmon: "conmon",
      seccompProfile: "/usr/share/containers/seccomp.json",
      filesProgram: join(import.meta.dir, "../../../.cache/guest/hull-files"),
    }),
  layers: () => (layer === undefined ? [] : [layer.path]),
  timeout: 30_000,
  killMonitor: ({ spec }) => {
    const monitor = findMonitor(spec.runtimeDirectory, spec.id);
    if (monitor === undefined) throw new Error("no monitor is running");
    process.kill(monitor.pid, "SIGKILL");
  },
  hasKernel: true,
});
