/** The root file system of a container: read-only layers with a writable one above. */
import { chmodSync, chownSync, mkdirSync, statSync, utimesSync } from "node:fs";
import { HullError } from "../../contract/errors.ts";
import { mount } from "../../host/mount.ts";
import { errnoNameOf, explainWriteError } from "../../host/system-error.ts";
import type { LayerLease } from "./layer-mounts.ts";

/**
 * Without the index, a directory that a killed daemon's container still holds can be mounted again. Without
 * redirections and bare metadata, the writable layer alone says all that is different.
 */
const fixedOptions = "index=off,redirect_dir=off,metacopy=off";

/** Options of a mount fit into one page, its final zero byte included. */
const optionsLimit = 4095;

/**
 * Mounts the overlay of `layers` and `directory`/upper at `target`. The layers are named relative to the working
 * directory, which is theirs for the time of the call, so that hundreds of them fit.
 */
export function mountOverlay(layers: LayerLease, directory: string, target: string): void {
  const [upper, work, empty] = [`${directory}/upper`, `${directory}/work`, `${directory}/empty`];
  try {
    for (const path of [work, target]) mkdirSync(path, { recursive: true, mode: 0o755 });
    if (mkdirSync(upper, { recursive: true, mode: 0o755 }) !== undefined) copyRoot(layers, upper);
    // An image without layers still needs something below the writable one.
    if (layers.names.length === 0) mkdirSync(empty, { recursive: true });
  } catch (error) {
    throw explainWriteError(error, "the writable layer", directory);
  }
  const data = overlayOptions(layers.names.length === 0 ? [empty] : layers.names, upper, work);
  if (data.length > optionsLimit)
    throw new HullError("tooLarge", {
      what: "the image",
      value: `${layers.names.length} layers`,
      limit: "what one overlay mount takes",
    });
  const before = process.cwd();
  process.chdir(layers.names.length === 0 ? directory : layers.base);
  try {
    mount({ source: "overlay", target, type: "overlay", data });
  } catch (error) {
    if (errnoNameOf(error) !== "ENODEV") throw explainWriteError(error, "the writable layer", directory);
    throw new HullError(
      "hostMissing",
      { what: "the kernel's overlay file system", remedy: "run `modprobe overlay`" },
      { cause: error },
    );
  } finally {
    process.chdir(before);
  }
}

/** The root directory is the writable layer's: it starts as the image's. */
function copyRoot(layers: LayerLease, upper: string): void {
  const top = layers.names.at(-1);
  if (top === undefined) return;
  const { uid, gid, mode, atime, mtime } = statSync(`${layers.base}/${top}`);
  chownSync(upper, uid, gid);
  chmodSync(upper, mode & 0o7777);
  utimesSync(upper, atime, mtime);
}

/** Options of overlayfs for layers given bottom first (overlayfs wants the top one first). */
export function overlayOptions(layers: readonly string[], upper: string, work: string): string {
  const lower = layers.toReversed().map(escapeLower).join(":");
  return `lowerdir=${lower},upperdir=${escapeOption(upper)},workdir=${escapeOption(work)},${fixedOptions}`;
}

/** A comma ends an option, a backslash escapes. */
function escapeOption(path: string): string {
  return path.replaceAll(/[\\,]/g, "\\$&");
}

function escapeLower(path: string): string {
  return path.replaceAll(/[\\,:]/g, "\\$&");
}
