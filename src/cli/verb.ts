/** What a verb is to the dispatcher: its flags as a table and its action. */
import type { Context } from "./context.ts";
import { type Flags, type Options, parseOptions, UsageError } from "./parse/options.ts";
import { tableText } from "./print/table.ts";

export interface VerbSpec<F extends Flags> {
  /** After `hull`: `run [OPTIONS] IMAGE [COMMAND] [ARG...]`. */
  readonly usage: string;
  readonly summary: string;
  /** More for the help. */
  readonly details?: string;
  readonly flags: F;
  /** Least and most arguments; no most: any number. */
  readonly arguments: readonly [least: number, most?: number];
  /** The first argument ends the flags: what follows belongs to the workload's command. */
  readonly optionsFirst?: boolean;
  /** Exit code of Hull's own errors; 1 when not given. */
  readonly failureCode?: number;
  /** Resolves to the exit code. */
  readonly action: (context: Context, input: VerbInput<F>) => Promise<number>;
}

export interface VerbInput<F extends Flags> {
  readonly options: Options<F>;
  readonly args: readonly string[];
  readonly given: ReadonlySet<string>;
}

export interface Verb {
  readonly failureCode: number;
  readonly help: () => string;
  readonly run: (context: Context, argv: readonly string[]) => Promise<number>;
}

export function defineVerb<F extends Flags>(spec: VerbSpec<F>): Verb {
  return {
    failureCode: spec.failureCode ?? 1,
    help: () => helpOf(spec),
    async run(context, argv) {
      const parsed = parseOptions(spec.flags, argv, spec.optionsFirst ?? false);
      checkCount(spec, parsed.args.length);
      return spec.action(context, parsed);
    },
  };
}

function checkCount<F extends Flags>(spec: VerbSpec<F>, count: number): void {
  const [least, most = Number.POSITIVE_INFINITY] = spec.arguments;
  if (count >= least && count <= most) return;
  const arguments_ = (number: number) => `${number} argument${number === 1 ? "" : "s"}`;
  if (most === 0) throw new UsageError("this command takes no arguments");
  if (least === most) throw new UsageError(`this command needs exactly ${arguments_(least)}, got ${count}`);
  if (count < least) throw new UsageError(`this command needs at least ${arguments_(least)}, got ${count}`);
  throw new UsageError(`this command takes at most ${arguments_(most)}, got ${count}`);
}

function helpOf<F extends Flags>(spec: VerbSpec<F>): string {
  const rows = Object.entries(spec.flags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, flag]) => {
      const short = flag.short === undefined ? "    " : `-${flag.short}, `;
      const value = flag.kind === "toggle" ? "" : ` ${flag.value}`;
      const initial = flag.kind === "toggle" && flag.initial ? " (default true)" : "";
      return [`  ${short}--${name}${value}`, `${flag.help}${initial}`];
    });
  const details = spec.details === undefined ? "" : `\n${spec.details}\n`;
  const options = rows.length === 0 ? "" : `\nOptions:\n${tableText(rows)}`;
  return `Usage:  hull ${spec.usage}\n\n${spec.summary}\n${details}${options}`;
}
