/**
 * Device nodes for jails in user name spaces, where none can be made. They are in a file system in memory that only
 * the daemon and what it starts see; the control group says who may open them.
 */
import { existsSync, mkdirSync } from "node:fs";
import { HullError } from "../../contract/errors.ts";
import { mount, mountFlag, unmount } from "../../host/mount.ts";
import { run } from "../../host/spawn.ts";

export interface DeviceNode {
  readonly name: string;
  readonly major: number;
  readonly minor: number;
}

export class DeviceNodes {
  readonly #directory: string;
  #mounted = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Path of a node that everybody may open who gets there. */
  async pathOf({ name, major, minor }: DeviceNode): Promise<string> {
    this.#mount();
    const path = `${this.#directory}/${name}`;
    if (existsSync(path)) return path;
    const { code, stderr } = await run(["mknod", "-m", "666", path, "c", String(major), String(minor)]);
    // Another start may have made it meanwhile.
    if (code !== 0 && !existsSync(path))
      throw new HullError("internal", { what: `cannot make the device ${name}: ${stderr.trim()}` });
    return path;
  }

  /** Jails that have a node bound keep it. */
  close(): void {
    if (this.#mounted) unmount(this.#directory);
    this.#mounted = false;
  }

  #mount(): void {
    if (this.#mounted) return;
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    mount({
      source: "hull",
      target: this.#directory,
      type: "tmpfs",
      flags: mountFlag.noSuid | mountFlag.noExec,
      data: "mode=700,size=64k",
    });
    this.#mounted = true;
  }
}
