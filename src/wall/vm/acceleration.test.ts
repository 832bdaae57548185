import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../../test/support/until.ts";
import { processStatus } from "../../host/process.ts";
import { start } from "../../host/spawn.ts";
import { AccelerationProbe } from "./acceleration.ts";
import type { VmPrograms } from "./programs.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "acceleration-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A QEMU that notes that it was started and then does as told. */
function qemuThat(action: string): VmPrograms {
  const qemu = join(directory, "qemu");
  writeFileSync(qemu, `#!/bin/sh\necho started >> ${directory}/starts\n${action}\n`);
  chmodSync(qemu, 0o755);
  return { qemu, runtime: "", conmon: "", kernel: "", initramfs: "", discard: "", freeze: "", thaw: "" };
}

function probe(limit = 5000): AccelerationProbe {
  const device = join(directory, "kvm");
  writeFileSync(device, "");
  return new AccelerationProbe({ stateDirectory: directory, device, limit });
}

const starts = (): number => readFileSync(join(directory, "starts"), "utf8").split("\n").length - 1;

test("without the device nothing is tried", async () => {
  const absent = new AccelerationProbe({ stateDirectory: directory, device: "/no/kvm" });
  expect(await absent.look(qemuThat("exit 1"))).toEqual({
    acceleration: "tcg",
    why: "this host has no /no/kvm",
    kvm: undefined,
  });
  expect(existsSync(join(directory, "starts"))).toBe(false);
});

test("a QEMU that fails means no KVM, and is tried once per boot of the host", async () => {
  const programs = qemuThat("exit 1");
  const first = await probe().look(programs);
  expect(first).toMatchObject({ acceleration: "tcg" });
  expect(first.why).not.toBe("");
  expect(await probe().look(programs)).toEqual(first);
  expect(starts()).toBe(1);
  const memory = join(directory, "kvm.json");
  writeFileSync(
    memory,
    JSON.stringify({ ...JSON.parse(readFileSync(memory, "utf8")), boot: "another boot" }),
  );
  await probe().look(programs);
  expect(starts()).toBe(2);
});

test("a guest that hangs is given up in time, and leaves nothing", async () => {
  const facts = await probe(300).look(qemuThat("exec sleep 1000"));
  expect(facts).toMatchObject({ acceleration: "tcg" });
  expect(readdirSync(directory).sort()).toEqual(["kvm", "kvm.json", "qemu", "starts"]);
});

test("a daemon that is killed during the try takes its QEMU with it, and the next try what it left", async () => {
  const programs = qemuThat(`echo $$ > ${directory}/pid\nexec sleep 1000`);
  probe();
  const options = { stateDirectory: directory, device: join(directory, "kvm"), limit: 60_000 };
  const source = `import { AccelerationProbe } from ${JSON.stringify(join(import.meta.dir, "acceleration.ts"))};
    await new AccelerationProbe(${JSON.stringify(options)}).look(${JSON.stringify(programs)});`;
  const daemon = start([process.execPath, "-e", source], { stdio: [] });
  const pidOf = (): number =>
    Number(existsSync(join(directory, "pid")) ? readFileSync(join(directory, "pid"), "utf8") : 0);
  await until("its QEMU has started", () => pidOf() > 0 && processStatus(pidOf()) !== undefined);
  daemon.kill("SIGKILL");
  await daemon.exited;
  const isGone = (): boolean => [undefined, "Z", "X"].includes(processStatus(pidOf())?.state);
  await until("its QEMU has ended", isGone);
  const places = (): string[] => readdirSync(directory).filter((name) => name.startsWith("kvm-"));
  expect(places()).toHaveLength(1);
  await probe().look(qemuThat("exit 1"));
  expect(places()).toEqual([]);
});

test("what is known without a try is what was found, in this boot of the host", async () => {
  const absent = new AccelerationProbe({ stateDirectory: directory, device: "/no/kvm" });
  expect(absent.known()).toMatchObject({ acceleration: "tcg", why: "this host has no /no/kvm" });
  expect(probe().known()).toBeUndefined();
  const found = await probe().look(qemuThat("exit 1"));
  expect(probe().known()).toEqual(found);
  const memory = join(directory, "kvm.json");
  writeFileSync(memory, JSON.stringify({ boot: "another boot", why: "" }));
  expect(probe().known()).toBeUndefined();
  expect(starts()).toBe(1);
});

test("an answer that was half written is asked for again", async () => {
  writeFileSync(join(directory, "kvm.json"), '{"boot": "');
  expect(await probe().look(qemuThat("exit 1"))).toMatchObject({ acceleration: "tcg" });
  expect(starts()).toBe(1);
});

test("an answer that cannot be kept fails the question, and not those to come", async () => {
  const device = join(directory, "kvm");
  writeFileSync(device, "");
  const state = join(directory, "state");
  writeFileSync(state, "in the way");
  const programs = qemuThat("exit 1");
  const asked = new AccelerationProbe({ stateDirectory: state, device, limit: 5000 });
  await expect(asked.look(programs)).rejects.toThrow();
  rmSync(state);
  expect(await asked.look(programs)).toMatchObject({ acceleration: "tcg" });
});
