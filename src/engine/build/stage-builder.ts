/** Builds one stage: its instructions one after the other, each made anew or taken from the cache. */
import { HullError } from "../../contract/errors.ts";
import type { StageState } from "../../image/build/build-store.ts";
import { directoryLayer } from "../../image/build/copy.ts";
import type { StageInstruction } from "../../image/build/dockerfile/instruction.ts";
import { parseTrigger } from "../../image/build/dockerfile/parse.ts";
import { dockerfileError } from "../../image/build/dockerfile/syntax.ts";
import { maxExpanded } from "../../image/build/dockerfile/words.ts";
import { withHistory } from "../../image/build/stage-config.ts";
import { rfc3339 } from "../clock.ts";
import { StageArguments } from "./arguments.ts";
import { configStep, expandIn, type StepScope, withoutCommand, workingDirectoryOf } from "./config-step.ts";
import { copyStep } from "./copy-step.ts";
import { stepKey } from "./key.ts";
import { planRun, runStep } from "./run-step.ts";
import type { PlannedStep, RunView, StageView } from "./step.ts";

export class StageBuilder implements StageView {
  readonly run: RunView;
  readonly args: StageArguments;
  #state: StageState;
  #commandSet = false;

  constructor(run: RunView, state: StageState) {
    this.run = run;
    this.#state = state;
    this.args = new StageArguments(run.argumentValues);
  }

  get state(): StageState {
    return this.#state;
  }

  get scope(): StepScope {
    const { config } = this.#state;
    return { config, args: this.args, escapeToken: this.run.escapeToken, commandSet: this.#commandSet };
  }

  /** What the base image wants done first. Its triggers are not for the next one. */
  async triggers(): Promise<void> {
    const { config } = this.#state;
    const { onBuild } = config;
    if (onBuild.length === 0) return;
    const plural = onBuild.length === 1 ? "" : "s";
    await this.run.output.text(`# Executing ${onBuild.length} build trigger${plural}\n`);
    this.#state = { ...this.#state, config: { ...config, onBuild: [] } };
    for (const text of onBuild) await this.#step(parseTrigger(text, this.run.escapeToken));
  }

  async instruction(instruction: StageInstruction): Promise<void> {
    await this.run.tellStep(instruction.text);
    await this.#step(instruction);
  }

  async #step(instruction: StageInstruction): Promise<void> {
    // Steps that wait for nothing would keep everybody else waiting.
    await new Promise((resolve) => setImmediate(resolve));
    this.run.signal.throwIfAborted();
    if (instruction.do === "ARG") this.#declare(instruction.args, instruction.line);
    {
      await using resources = new AsyncDisposableStack();
      await this.#make(await this.#plan(instruction, resources));
    }
    if (instruction.do === "CMD") this.#commandSet = true;
    await this.run.output.text(` ---> ${shortImageId(this.#state)}\n`);
  }

  async #plan(instruction: StageInstruction, resources: AsyncDisposableStack): Promise<PlannedStep> {
    const { config } = this.#state;
    const changed = configStep(instruction, this.scope);
    if (changed !== undefined)
      return {
        config: changed.config,
        createdBy: withoutCommand(changed.told, config),
        key: changed.key ?? [],
      };
    switch (instruction.do) {
      case "WORKDIR":
        return this.#planDirectory(instruction.value, instruction.line, resources);
      case "RUN": {
        const plan = planRun(instruction, this.scope);
        return {
          config,
          createdBy: plan.createdBy,
          key: plan.key,
          layer: () => runStep(this, plan, resources),
        };
      }
      case "COPY":
      case "ADD":
        return copyStep(this, instruction, resources);
      default:
        throw new HullError("internal", { what: `nobody builds ${instruction.do}` });
    }
  }

  #planDirectory(value: string, line: number, resources: AsyncDisposableStack): PlannedStep {
    const { config } = this.#state;
    const workingDir = workingDirectoryOf(value, line, this.scope);
    const tree = resources.use(this.run.session.treeOf(this.#state));
    const layer = directoryLayer(tree.root, workingDir, this.run.nowSeconds());
    return {
      config: { ...config, workingDir },
      createdBy: withoutCommand(`WORKDIR ${workingDir}`, config),
      ...(layer === undefined ? {} : { layer: () => Promise.resolve(layer) }),
    };
  }

  async #make(step: PlannedStep): Promise<void> {
    const parent = this.#state;
    const key = stepKey(parentOf(parent), step.createdBy, step.key);
    if (this.run.request.useCache) {
      const known =
        (await this.run.session.cached(key, parent)) ??
        this.run.cacheFrom?.find(parent, step.createdBy, step.config);
      if (known !== undefined) {
        this.#state = known;
        await this.run.output.text(" ---> Using cache\n");
        return;
      }
    }
    const tar = await step.layer?.();
    const layer =
      tar === undefined ? undefined : await this.run.session.addLayer(tar, "the layer of a build step");
    this.run.signal.throwIfAborted();
    const created = rfc3339(this.run.now());
    const { createdBy } = step;
    const history = {
      created,
      createdBy,
      author: step.config.author,
      emptyLayer: layer === undefined,
    };
    this.#state = this.run.session.next(parent, withHistory(step.config, history), created, layer);
    this.run.session.keep({ key, createdBy }, parent, this.#state);
  }

  #declare(args: readonly (readonly [string, string | undefined])[], line: number): void {
    for (const [name, initial] of args) {
      this.run.declared.add(name);
      this.args.declare(name, initial === undefined ? undefined : expandIn(initial, line, this.scope));
    }
    // Every command is told with all of them.
    if (this.args.length > maxExpanded)
      throw dockerfileError(line, `its arguments have more than ${maxExpanded} characters together`);
  }
}

/**
 * A stage whose base image's triggers were taken away has the base's id and is not the base: what it does next is
 * known by both.
 */
function parentOf(state: StageState): string {
  return `${state.id}/${state.config.onBuild.length}`;
}

export function shortImageId(state: StageState): string {
  return state.id.slice("sha256:".length, "sha256:".length + 12);
}
