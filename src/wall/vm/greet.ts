/** From a QEMU that was just started, or found, to a guest that knows its image. */
import { readFile } from "node:fs/promises";
import { HullError, messageOf } from "../../contract/errors.ts";
import type { OciContainer } from "../oci/runtime.ts";
import type { SandboxSpec } from "../wall.ts";
import { AgentConnection } from "./agent.ts";
import { consoleTail } from "./console.ts";
import { explainAgent } from "./failures.ts";
import type { VmLayout } from "./layout.ts";
import { phases, verbs } from "./protocol.ts";
import { setUpBody, startTimeout } from "./start.ts";
import type { Stopwatch } from "./stopwatch.ts";
import type { TemplateLease } from "./template/loaded.ts";
import { loadState } from "./template/state.ts";

/** Milliseconds from QEMU's start to the agent's welcome, of a machine that boots and of one from a template. */
const usualTimeouts = { boot: 120_000, restore: 30_000 };

/** Milliseconds in which the end of QEMU becomes known. */
const endPatience = 500;

/** The machine did not come out of its template. */
export class RestoreFailure extends Error {
  override readonly name = "RestoreFailure";
}

interface GreetOptions {
  readonly template?: TemplateLease | undefined;
  readonly freshDisk?: boolean;
  readonly watch?: Stopwatch;
  readonly timeouts?: typeof usualTimeouts;
}

/**
 * Connects to the agent, of a machine that boots or runs, or of a template that is to be loaded first, and tells
 * it the image unless an earlier daemon has.
 */
export async function greet(
  spec: SandboxSpec,
  layout: VmLayout,
  container: Pick<OciContainer, "wait">,
  { template, freshDisk = false, watch, timeouts = usualTimeouts }: GreetOptions = {},
): Promise<AgentConnection> {
  const { name } = spec;
  const gone = new AbortController();
  const ended = container.wait().then(
    () => gone.abort(),
    () => gone.abort(),
  );
  const { signal } = gone;
  let restoring = template !== undefined;
  try {
    const timeout = template === undefined ? timeouts.boot : timeouts.restore;
    if (template !== undefined) {
      const isProcess = template.image.process !== undefined;
      await loadState(layout, { timeout, signal, watch, isProcess });
    }
    const connection = await AgentConnection.open(layout.agentSocket, { timeout, signal });
    restoring = false;
    watch?.lap("agent");
    if (connection.welcome.phase === phases.booted) {
      await setUp(spec, connection, freshDisk);
      watch?.lap("root");
    }
    return connection;
  } catch (error) {
    // The end of QEMU breaks its connections before it is known for what it is.
    if (!gone.signal.aborted) await Promise.race([ended, Bun.sleep(endPatience)]);
    const why = gone.signal.aborted ? "QEMU ended" : messageOf(explainAgent(error, name));
    const tail = consoleTail(layout.console);
    const whole = tail === "" ? why : `${why} (console: ${tail})`;
    if (restoring) throw new RestoreFailure(whole, { cause: error });
    throw new HullError("startFailed", { wall: "vm", name, why: whole }, { cause: error });
  }
}

/** Tells the agent the image. */
export async function setUp(
  spec: SandboxSpec,
  connection: AgentConnection,
  freshDisk: boolean,
): Promise<void> {
  const hostResolver = await readFile("/etc/resolv.conf", "utf8").catch(() => "");
  await connection.request(verbs.setUp, setUpBody(spec, hostResolver, freshDisk), startTimeout);
}
