/**
 * Runs the tests in mount and network namespaces of their own: what they mount, and the bridges and rules of the
 * daemons they start, never appear on the host, and crun finds the control groups it accepts. Loaded before every
 * test file (bunfig.toml); starts `bun test` again inside.
 */
import { startAgainInOwnNamespaces } from "./own-namespaces.ts";

if (process.getuid?.() === 0) startAgainInOwnNamespaces();
