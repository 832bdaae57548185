/**
 * Builds dist/hull: client, daemon and Bun in one file.
 *
 * Byte code is put in beside the source, so that nothing has to be parsed at start: see docs/decisions for what
 * it saves. `--splitting` keeps verbs and the daemon apart: a command loads only what it imports.
 */
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const target = join(root, "dist/hull");
// Built beside it and moved into place: whoever runs the old one is not disturbed, and a failed build changes nothing.
const unfinished = `${target}.${process.pid}`;

mkdirSync(join(root, "dist"), { recursive: true });
try {
  await Bun.build({
    entrypoints: [join(root, "src/cli/main.ts")],
    // Run as root in any directory: what lies there must neither configure nor extend the program.
    compile: {
      outfile: unfinished,
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
    target: "bun",
    format: "esm",
    minify: true,
    bytecode: true,
    splitting: true,
  });
  renameSync(unfinished, target);
} finally {
  rmSync(unfinished, { force: true });
}
