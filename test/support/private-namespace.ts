/**
 * Runs the tests in a mount namespace of their own: what they mount never appears on the host, and crun finds
 * the control groups it accepts. Loaded before every test file (bunfig.toml); starts `bun test` again inside.
 */
import { startAgainInPrivateMounts } from "../../src/host/mount-namespace.ts";

if (process.getuid?.() === 0) startAgainInPrivateMounts([]);
