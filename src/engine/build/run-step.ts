/** RUN: a workload from the stage so far, behind the wall that was asked for; what it wrote becomes the layer. */
import { HullError } from "../../contract/errors.ts";
import type { RunInstruction } from "../../image/build/dockerfile/instruction.ts";
import { defaultNetworkRequest } from "../../network/records/default-request.ts";
import { attachWorkload } from "../attach.ts";
import type { EngineContext } from "../context.ts";
import { removeWorkload } from "../ending.ts";
import { WorkloadFiles } from "../files/workload-files.ts";
import { createWorkload, startWorkload } from "../life-cycle.ts";
import { shortId } from "../names.ts";
import type { RunRequest } from "../request.ts";
import type { Workload } from "../workload.ts";
import { argumentsOf, type StepScope } from "./config-step.ts";
import type { StageView } from "./step.ts";

export interface RunPlan {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly createdBy: string;
  /** What decides the layer: in the history, words and what stands between them look the same. */
  readonly key: readonly string[];
  /** Empty: the build's. */
  readonly network: string;
  /** Written to the program's standard input; undefined: it has none. */
  readonly script: string | undefined;
}

/** Pure. */
export function planRun(instruction: RunInstruction, scope: StepScope): RunPlan {
  const { config, args } = scope;
  const { command, script } = commandOf(instruction, scope);
  const declared = args.ofCommand(config.env);
  // What the history tells first is how many arguments follow: moby, builder/dockerfile/dispatchers.go.
  const told = declared.length === 0 ? [] : [`|${declared.length}`, ...declared];
  return {
    args: command,
    env: [...args.undeclared(config.env), ...declared],
    key: [instruction.network, JSON.stringify([declared, command, script ?? null])],
    createdBy: [...told, ...command, ...(script === undefined ? [] : [script])].join(" "),
    network: instruction.network,
    script,
  };
}

function commandOf(
  instruction: RunInstruction,
  scope: StepScope,
): { command: readonly string[]; script: string | undefined } {
  const { command, heredocs } = instruction;
  const plain = { command: argumentsOf(command, scope.config), script: undefined };
  const [first] = heredocs;
  if (command.form === "exec" || first === undefined) return plain;
  const alone = heredocs.length === 1 && /^\d*<<-?\S+$/.test(command.line);
  if (alone && first.content.startsWith("#!")) {
    // The kernel splits a script's first line so: the program, and the rest as one argument.
    const [line = ""] = first.content.slice(2).split("\n");
    const [, program = "", argument = ""] = /^(\S+)\s*(.*)$/.exec(line.trim()) ?? [];
    const words = [program, ...(argument === "" ? [] : [argument]), "/dev/stdin"];
    return { command: words, script: first.content };
  }
  const line = alone
    ? first.content
    : [command.line, ...heredocs.map(({ name, content }) => `${content}${name}`)].join("\n");
  return { command: argumentsOf({ form: "shell", line }, scope.config), script: undefined };
}

/** Runs the command to its end and gives the layer that it made. The workload goes with `resources`. */
export async function runStep(
  stage: StageView,
  plan: RunPlan,
  resources: AsyncDisposableStack,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const { run } = stage;
  const { context } = run;
  const image = await run.session.hidden(stage.state);
  const workload = await createWorkload(context, requestOf(stage, plan), image);
  let failed = true;
  resources.defer(async () => {
    const keep = run.signal.aborted ? false : failed ? !run.request.forceRemove : !run.request.remove;
    if (keep) return;
    await removeWorkload(context, workload, { force: true });
    if (!failed) await run.output.text(` ---> Removed intermediate container ${shortId(workload.id)}\n`);
  });
  await run.output.text(` ---> Running in ${shortId(workload.id)}\n`);
  await runToEnd(stage, plan, workload);
  const tar = await layerOf(context, workload, resources);
  failed = false;
  return tar;
}

function requestOf(stage: StageView, plan: RunPlan): RunRequest {
  const { template } = stage.run.request;
  return {
    ...template,
    name: undefined,
    image: stage.state.id === "" ? "scratch" : stage.state.id,
    entrypoint: [],
    command: plan.args,
    env: plan.env,
    workingDirectory: "",
    user: "",
    stdin: plan.script !== undefined,
    stdinOnce: plan.script !== undefined,
    attached: { stdin: plan.script !== undefined, stdout: true, stderr: true },
    network: networkOf(plan.network, template),
    ofBuild: true,
  };
}

function networkOf(word: string, template: RunRequest): RunRequest["network"] {
  if (word === "" || word === "default") return template.network;
  if (word === "none") return { ...defaultNetworkRequest, mode: "none" };
  throw new HullError("unsupported", {
    what: "RUN --network=host",
    where: "",
    why: "a Dockerfile does not choose the host's network by itself: build with --network=host",
  });
}

/** The workload has ended; it is held until `resources` go, so that nobody starts it meanwhile. */
async function layerOf(
  context: EngineContext,
  workload: Workload,
  resources: AsyncDisposableStack,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const files = resources.use(await WorkloadFiles.open(context, workload, { mounts: false }));
  if (workload.state !== "exited")
    throw new HullError("conflict", {
      what: `container ${workload.record.name} of this build was ${workload.state} meanwhile`,
    });
  return await files.layerIfAny();
}

async function runToEnd(stage: StageView, plan: RunPlan, workload: Workload): Promise<void> {
  const { run } = stage;
  const { context } = run;
  const { signal } = run;
  const attachment = await attachWorkload(context, workload, { stdin: plan.script !== undefined });
  // The workload itself goes with the step's resources.
  const leave = (): void => attachment.detach();
  signal.addEventListener("abort", leave, { once: true });
  try {
    const ended = workload.waiting.until("not-running", signal);
    const starting = startWorkload(context, workload);
    starting.catch(() => undefined);
    if (plan.script !== undefined) {
      await starting;
      await attachment.write(Buffer.from(plan.script));
      await attachment.endInput();
    }
    await tellOutput(stage, attachment.output);
    await starting;
    const outcome = await ended;
    signal.throwIfAborted();
    if (outcome === undefined)
      throw new HullError("internal", { what: "a build's command ended without an exit" });
    if (outcome.error !== undefined)
      throw new HullError("conflict", {
        what: `the command '${plan.args.join(" ")}' was lost: ${outcome.error}`,
      });
    if (outcome.code !== 0)
      throw new HullError("buildStepFailed", { command: plan.args.join(" "), code: outcome.code });
  } finally {
    signal.removeEventListener("abort", leave);
    attachment.detach();
  }
}

/** Characters may be cut by the ends of chunks; each stream has its own decoder. */
async function tellOutput(
  stage: StageView,
  output: AsyncIterable<{ readonly stream: "stdout" | "stderr"; readonly data: Uint8Array }>,
): Promise<void> {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  for await (const { stream, data } of output) {
    const text = decoders[stream].decode(data, { stream: true });
    if (text !== "") await stage.run.output.text(text);
  }
}
