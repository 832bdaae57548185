/** A bundle for a bare `crun run`: the same busybox, the same namespaces and the same program as Hull's. */
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../test/support/daemon.ts";

export interface Bundle extends AsyncDisposable {
  command(id: string): string[];
}

export async function makeBundle(): Promise<Bundle> {
  const directory = await mkdtemp(join(tmpdir(), "bundle-"));
  const root = join(directory, "rootfs");
  for (const folder of ["bin", "proc", "sys", "dev", "etc", "tmp"])
    await mkdir(join(root, folder), { recursive: true });
  await copyFile("/bin/busybox", join(root, "bin/busybox"));
  await symlink("busybox", join(root, "bin/true"));
  const spec = await runProgram(["crun", "spec"], { cwd: directory });
  if (spec.code !== 0) throw new Error(`crun spec: ${spec.stderr}`);
  const config: unknown = await Bun.file(join(directory, "config.json")).json();
  if (typeof config !== "object" || config === null || !("process" in config))
    throw new Error("crun spec: no process");
  const process = { ...Object(config.process), args: ["/bin/true"], terminal: false };
  await writeFile(join(directory, "config.json"), JSON.stringify({ ...config, process }));
  return {
    command: (id) => ["crun", "--root", join(directory, "state"), "run", "--bundle", directory, id],
    async [Symbol.asyncDispose]() {
      await rm(directory, { recursive: true, force: true });
    },
  };
}
