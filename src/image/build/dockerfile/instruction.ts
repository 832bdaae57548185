/** Instructions with their arguments parsed, variables not yet replaced. Source: Dockerfile reference. */
import type { Heredoc } from "./lines.ts";

/** A program with its arguments, or a line for the shell. */
export type CommandLine =
  | { readonly form: "exec"; readonly args: readonly string[] }
  | { readonly form: "shell"; readonly line: string };

export type Pairs = readonly (readonly [name: string, value: string])[];

export interface Healthcheck {
  readonly Test: readonly string[];
  /** Nanoseconds, as in an image's config. */
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

interface At {
  /** Of the Dockerfile, counted from 1. */
  readonly line: number;
  /** The instruction in one line, as the output shows it. */
  readonly text: string;
}

export interface FromInstruction extends At {
  readonly do: "FROM";
  readonly image: string;
  /** Lower case; empty: none. */
  readonly name: string;
  readonly platform: string;
}

export interface CopyInstruction extends At {
  readonly do: "COPY" | "ADD";
  readonly sources: readonly string[];
  readonly inline: readonly Heredoc[];
  readonly destination: string;
  readonly from: string;
  readonly chown: string;
  readonly chmod: string;
  readonly checksum: string;
}

export interface RunInstruction extends At {
  readonly do: "RUN";
  readonly command: CommandLine;
  /** Of the shell form: they are part of the script. */
  readonly heredocs: readonly Heredoc[];
  readonly network: string;
}

export type Instruction =
  | FromInstruction
  | CopyInstruction
  | RunInstruction
  | (At & { readonly do: "ARG"; readonly args: readonly (readonly [string, string | undefined])[] })
  | (At & { readonly do: "ENV" | "LABEL"; readonly pairs: Pairs })
  | (At & { readonly do: "CMD" | "ENTRYPOINT"; readonly command: CommandLine })
  | (At & { readonly do: "EXPOSE"; readonly ports: string })
  | (At & { readonly do: "VOLUME"; readonly paths: readonly string[] })
  | (At & {
      readonly do: "USER" | "WORKDIR" | "STOPSIGNAL" | "MAINTAINER" | "ONBUILD";
      readonly value: string;
    })
  | (At & { readonly do: "HEALTHCHECK"; readonly check: Healthcheck })
  | (At & { readonly do: "SHELL"; readonly shell: readonly string[] });

/** An instruction that belongs to a stage. */
export type StageInstruction = Exclude<Instruction, FromInstruction>;
