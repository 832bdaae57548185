/** An OCI layout with an image of several layers, made by umoci and GNU tar. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { must } from "./programs.ts";

export interface TestLayout {
  readonly path: string;
  /** The layers' tars, bottom first. */
  readonly tars: readonly string[];
}

/** The image is `IMAGE` in the layout; it has three layers, the second with a whiteout, the third the same as the first. */
export async function makeLayout(directory: string, image: string): Promise<TestLayout> {
  const path = join(directory, "layout");
  const first = join(directory, "first");
  await mkdir(join(first, "etc"), { recursive: true });
  await writeFile(join(first, "etc/one"), "one\n");
  await writeFile(join(first, "large"), Buffer.alloc(3_000_000, "large "));
  const second = join(directory, "second");
  await mkdir(join(second, "etc"), { recursive: true });
  await writeFile(join(second, "etc/two"), "two\n");
  await writeFile(join(second, "etc/.wh.one"), "");
  const tars = [`${first}.tar`, `${second}.tar`];
  await must("tar", "-cf", `${first}.tar`, "-C", first, "etc", "large");
  await must("tar", "-cf", `${second}.tar`, "-C", second, "etc");
  await must("umoci", "init", "--layout", path);
  await must("umoci", "new", "--image", `${path}:${image}`);
  for (const tar of [...tars, `${first}.tar`])
    await must("umoci", "raw", "add-layer", "--image", `${path}:${image}`, tar);
  const config = [
    "--config.cmd",
    "cat",
    "--config.env",
    "A=b",
    "--config.user",
    "1000",
    "--config.label",
    "k=v",
  ];
  await must("umoci", "config", "--image", `${path}:${image}`, ...config);
  return { path, tars: [...tars, `${first}.tar`] };
}
