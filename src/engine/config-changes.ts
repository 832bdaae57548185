/** Dockerfile instructions that are given one by one (`commit --change`), applied to an image's config. */
import { HullError } from "../contract/errors.ts";
import { parseDockerfile } from "../image/build/dockerfile/parse.ts";
import type { StageConfig } from "../image/build/stage-config.ts";
import { StageArguments } from "./build/arguments.ts";
import { configStep, workingDirectoryOf } from "./build/config-step.ts";

const accepted = [
  ...["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "STOPSIGNAL", "USER"],
  ...["VOLUME", "WORKDIR"],
];

/** Throws for what is no instruction, or one that changes more than a config. */
export function applyInstructions(config: StageConfig, lines: readonly string[]): StageConfig {
  const args = new StageArguments({ given: new Map(), global: new Map(), automatic: new Map() });
  let result = config;
  let commandSet = false;
  for (const line of lines) {
    const { escapeToken, instructions } = parseDockerfile(line);
    for (const instruction of instructions) {
      const { do: name } = instruction;
      if (name === "FROM" || !accepted.includes(name))
        throw new HullError("invalidParameter", {
          what: "change",
          value: JSON.stringify(line),
          why: `use ${accepted.join(", ")}`,
        });
      const scope = { config: result, args, escapeToken, commandSet };
      const step = configStep(instruction, scope);
      if (step !== undefined) result = step.config;
      else if (name === "WORKDIR")
        result = { ...result, workingDir: workingDirectoryOf(instruction.value, instruction.line, scope) };
      commandSet ||= name === "CMD";
    }
  }
  return result;
}
