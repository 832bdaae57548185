/**
 * What a machine that waits, or is to be a template, rehearses under emulation: a set-up, and the start of two programs, in the words of the requests
 * that will come. The layer it does so with lies in the place of an image's lowest.
 */
import { randomBytes } from "node:crypto";
import type { ProcessSpec, SandboxSpec } from "../wall.ts";
import type { AgentConnection } from "./agent.ts";
import { FieldWriter } from "./fields.ts";
import { verbs } from "./protocol.ts";
import { setUpBody, startBody, startTimeout } from "./start.ts";

/** Writes an EROFS file that has the programs of `rehearsed` at their places. */
export type WriteRehearsalLayer = (path: string) => Promise<void>;

/** The main one ends with its input, the other by itself. */
export interface RehearsedPrograms {
  readonly main: readonly string[];
  readonly beside: readonly string[];
}

/** Where the layer has hull-files, and what it is to do: to wait for a request, and to say that it has none. */
export const rehearsalProgram = "/bin/hull-files";
const filesProgram: RehearsedPrograms = { main: ["hull-files", "-", "/"], beside: ["hull-files"] };

/** Addresses that are nobody's (RFC 5737); the card leads nowhere while its machine waits. */
const network: NonNullable<SandboxSpec["network"]> = {
  namespace: undefined,
  taps: [],
  interfaces: [
    {
      name: "eth0",
      mac: "02:00:00:00:00:01",
      addresses: ["192.0.2.2/24"],
      sysctls: { "net.ipv6.conf.eth0.disable_ipv6": "1" },
    },
  ],
  routes: [{ destination: "0.0.0.0/0", gateway: "192.0.2.1", interface: "eth0" }],
};

/** The second one comes upon what the first one has left in the kernel's caches, as a start will. */
const rehearsals = 2;

export async function rehearse(
  agent: Pick<AgentConnection, "request">,
  spec: SandboxSpec,
  programs: RehearsedPrograms = filesProgram,
): Promise<void> {
  for (let count = 0; count < rehearsals; count++)
    await agent.request(verbs.rehearse, rehearsalBody(spec, programs), startTimeout);
}

function rehearsalBody(spec: SandboxSpec, programs: RehearsedPrograms): FieldWriter {
  const hostname = randomBytes(6).toString("hex");
  const resources = { ...spec.resources, pids: 1000 };
  // How many layers is all that is told of them.
  const setUp = setUpBody({ ...spec, layers: [""], hostname, resources, network }, "", true);
  const process = { ...spec.process, env: ["PATH=/usr/local/bin:/usr/bin:/bin"] };
  const start = (handle: number, more: Partial<ProcessSpec>): Buffer =>
    new FieldWriter()
      .u32(handle)
      .bytes(startBody({ ...process, ...more }))
      .take();
  return new FieldWriter()
    .string(setUp.take())
    .string(start(0, { args: programs.main, stdin: true }))
    .string(start(1, { args: programs.beside }));
}
