/** Stages of a Dockerfile: which there are, what each needs, and which have to be built for a target. Pure. */
import { HullError } from "../../../contract/errors.ts";
import type { FromInstruction, Instruction, StageInstruction } from "./instruction.ts";
import { dockerfileError } from "./syntax.ts";
import { expandWord, type Variables, WordError } from "./words.ts";

export interface Stage {
  readonly index: number;
  readonly from: FromInstruction;
  /** With the arguments before the first FROM replaced. */
  readonly image: string;
  readonly platform: string;
  /** An earlier stage that it goes on with; undefined: an image. */
  readonly base: number | undefined;
  readonly instructions: readonly StageInstruction[];
}

export interface StagePlan {
  readonly stages: readonly Stage[];
  /** The stage whose image is wanted. */
  readonly target: number;
  /** Indexes in the order in which they are built. */
  readonly needed: readonly number[];
  /** The ARG instructions before the first FROM. */
  readonly global: readonly StageInstruction[];
  /** Their values; a build argument wins over a default. */
  readonly globalArguments: ReadonlyMap<string, string | undefined>;
}

interface PlanOptions {
  readonly escapeToken: string;
  readonly buildArguments: ReadonlyMap<string, string>;
  /** Arguments that are there without being declared, such as TARGETPLATFORM. */
  readonly automatic: ReadonlyMap<string, string>;
  /** Name or number of a stage; empty: the last one. */
  readonly target: string;
}

export function planStages(instructions: readonly Instruction[], options: PlanOptions): StagePlan {
  const first = instructions.findIndex((instruction) => instruction.do === "FROM");
  const globalArguments = readGlobal(instructions, first, options);
  const variables: Variables = (name) => globalArguments.get(name) ?? options.automatic.get(name);
  const stages: Stage[] = [];
  let current: StageInstruction[] = [];
  for (const instruction of instructions.slice(first)) {
    if (instruction.do !== "FROM") {
      current.push(instruction);
      continue;
    }
    current = [];
    stages.push(stageOf(instruction, stages, current, variables, options.escapeToken));
  }
  const target = findTarget(stages, options.target);
  const global = instructions.slice(0, first).filter((each) => each.do !== "FROM");
  return { stages, target, needed: neededFor(stages, target), global, globalArguments };
}

/** By name or number, among the stages before `before`. */
export function findStage(stages: readonly Stage[], word: string, before: number): Stage | undefined {
  const named = stages.findLast((stage) => stage.index < before && stage.from.name === word.toLowerCase());
  if (named !== undefined && word !== "") return named;
  return /^\d+$/.test(word) && Number(word) < before ? stages[Number(word)] : undefined;
}

function readGlobal(
  instructions: readonly Instruction[],
  first: number,
  options: PlanOptions,
): Map<string, string | undefined> {
  const values = new Map<string, string | undefined>();
  const before = first < 0 ? instructions : instructions.slice(0, first);
  for (const instruction of before) {
    if (instruction.do !== "ARG")
      throw dockerfileError(instruction.line, "no build stage in current context: begin with FROM");
    for (const [name, initial] of instruction.args) {
      const variables: Variables = (each) => values.get(each) ?? options.automatic.get(each);
      const value =
        initial === undefined
          ? undefined
          : expanded(initial, instruction.line, options.escapeToken, variables);
      values.set(name, options.buildArguments.get(name) ?? value);
    }
  }
  if (first < 0) throw dockerfileError(before.at(-1)?.line ?? 1, "no build stage: there is no FROM");
  return values;
}

function stageOf(
  from: FromInstruction,
  before: readonly Stage[],
  instructions: readonly StageInstruction[],
  variables: Variables,
  escapeToken: string,
): Stage {
  const image = expanded(from.image, from.line, escapeToken, variables);
  const platform = expanded(from.platform, from.line, escapeToken, variables);
  if (image === "") throw dockerfileError(from.line, `base name (${from.image}) should not be blank`);
  const index = before.length;
  const base = before.findLast((stage) => stage.from.name !== "" && stage.from.name === image.toLowerCase());
  return { index, from, image, platform, base: base?.index, instructions };
}

function expanded(text: string, line: number, escapeToken: string, variables: Variables): string {
  try {
    return expandWord(text, escapeToken, variables);
  } catch (error) {
    if (error instanceof WordError)
      throw dockerfileError(line, `failed to process ${JSON.stringify(text)}: ${error.message}`);
    throw error;
  }
}

function findTarget(stages: readonly Stage[], word: string): number {
  if (word === "") return stages.length - 1;
  const stage = findStage(stages, word, stages.length);
  if (stage !== undefined) return stage.index;
  const names = stages.map(({ from, index }) => (from.name === "" ? String(index) : from.name));
  throw new HullError("invalidParameter", {
    what: "target",
    value: word,
    why: `failed to reach build target ${word} in Dockerfile: its stages are ${names.join(", ")}`,
  });
}

/** A stage needs its base and what it copies from; the rest is not built. */
function neededFor(stages: readonly Stage[], target: number): number[] {
  const needed = new Set<number>();
  const waiting = [target];
  for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
    const stage = stages[index];
    if (stage === undefined || needed.has(index)) continue;
    needed.add(index);
    if (stage.base !== undefined) waiting.push(stage.base);
    for (const instruction of stage.instructions) {
      if (instruction.do !== "COPY" || instruction.from === "") continue;
      const source = findStage(stages, instruction.from, stage.index);
      if (source !== undefined) waiting.push(source.index);
    }
  }
  return [...needed].sort((a, b) => a - b);
}
