/**
 * A small root file system as one EROFS layer, made from the host's static busybox by mkfs.erofs: for tests of
 * the walls, which have to work without the image store.
 */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../src/host/spawn.ts";

export interface TinyLayer extends AsyncDisposable {
  /** The EROFS file. */
  readonly path: string;
}

const applets = (
  "sh ash true false cat echo printf sleep ls id env pwd wc head tail dd seq kill ps stty tty mount df grep " +
  "sha256sum md5sum yes touch mkdir rm chmod chown tr od readlink stat hostname ip ifconfig ping nc test trap"
).split(" ");

const files: Readonly<Record<string, string>> = {
  "etc/passwd":
    "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n" +
    "alice:x:1000:1000:Alice:/home/alice:/bin/sh\n",
  "etc/group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\nalice:x:1000:\naudio:x:29:alice,daemon\nvideo:x:44:alice\n",
  "etc/os-release": 'NAME="Tiny"\nID=tiny\n',
  "etc/not-executable": "#!/bin/sh\necho never\n",
  "etc/no-interpreter": "#!/no/such/interpreter\n",
  "etc/no-program": "neither a script nor a binary\n",
};

/** Makes the layer; `extra` adds files by their path in the root. */
export async function makeTinyLayer(
  extra: Readonly<Record<string, string | Uint8Array>> = {},
): Promise<TinyLayer> {
  const directory = mkdtempSync(join(tmpdir(), "tiny-"));
  const root = join(directory, "root");
  const path = join(directory, "layer.erofs");
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  try {
    for (const name of ["bin", "etc", "tmp", "root", "home/alice", "var", "usr", "proc", "sys", "dev", "run"])
      mkdirSync(join(root, name), { recursive: true });
    chmodSync(join(root, "tmp"), 0o1777);
    const busybox = Bun.which("busybox");
    if (busybox === null) throw new Error("tests need busybox-static: run ./setup");
    copyFileSync(busybox, join(root, "bin/busybox"));
    for (const applet of applets) symlinkSync("busybox", join(root, "bin", applet));
    for (const [name, content] of Object.entries({ ...files, ...extra })) {
      mkdirSync(join(root, name, ".."), { recursive: true });
      writeFileSync(join(root, name), content);
    }
    for (const name of ["etc/no-interpreter", "etc/no-program"]) chmodSync(join(root, name), 0o755);
    const made = await run(["mkfs.erofs", "--all-root", path, root], {
      env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
    if (made.code !== 0) throw new Error(`mkfs.erofs failed: ${made.stderr}`);
    rmSync(root, { recursive: true });
    return {
      path,
      [Symbol.asyncDispose]: () => {
        remove();
        return Promise.resolve();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
