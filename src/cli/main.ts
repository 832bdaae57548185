/**
 * The program `hull`: finds the verb, runs it, turns what was thrown into one line and an exit code.
 *
 * Every command pays for what is imported here, so this file imports little and verbs are loaded by name.
 */
import packageJson from "../../package.json" with { type: "json" };
import { Context } from "./context.ts";
import { HelpRequest, parseOptions, toggle, UsageError } from "./parse/options.ts";
import { placeFlags, placesOf } from "./places.ts";
import { Output, OutputClosed } from "./print/output.ts";
import { complaint } from "./print/visible.ts";
import { groups, resolveVerb, verbs } from "./verbs.ts";

/** Docker's exit code for a command line that is wrong. */
const usageCode = 125;
/** 128 + SIGPIPE: what a shell shows of a program that wrote to a closed pipe. */
const closedOutputCode = 141;

const globalFlags = { ...placeFlags, version: toggle("Show the version", "v") } as const;

// Not process.stdout: loading its streams takes longer than a `run`.
const stdout = new Output(1);
const stderr = new Output(2);

async function main(argv: readonly string[]): Promise<number> {
  let verbName: string | undefined;
  let failureCode = 1;
  let help = generalHelp;
  try {
    const { options, args } = parseOptions(globalFlags, argv, true);
    if (options.version) return await print(`hull version ${packageJson.version}\n`);
    if (args.length === 0) throw new HelpRequest();
    const resolved = resolveVerb(args);
    if (resolved === undefined) return await unknownVerb(args);
    verbName = resolved.name;
    const { default: verb } = await loadVerb(verbName);
    help = verb.help;
    failureCode = verb.failureCode;
    return await verb.run(new Context(placesOf(options), stdout, stderr), resolved.argv);
  } catch (error) {
    if (error instanceof HelpRequest) return await print(help());
    if (error instanceof OutputClosed) return closedOutputCode;
    const hint =
      error instanceof UsageError ? `\nsee 'hull${verbName === undefined ? "" : ` ${verbName}`} --help'` : "";
    await printError(`${complaint(error)}${hint}\n`);
    return error instanceof UsageError ? usageCode : failureCode;
  }
}

function loadVerb(name: string) {
  const entry = verbs[name];
  if (entry === undefined) throw new UsageError(`unknown command: ${name}`);
  return entry.load();
}

async function unknownVerb(args: readonly string[]): Promise<number> {
  const [first = "", second] = args;
  if (first === "help") return print(generalHelp());
  const isGroup = groups.includes(first);
  if (isGroup && (second === undefined || second === "--help" || second === "-h"))
    return print(generalHelp());
  const words = isGroup ? `${first} ${second}` : first;
  await printError(`hull: unknown command: ${words}\nsee 'hull --help'\n`);
  return usageCode;
}

function generalHelp(): string {
  const rows = Object.entries(verbs)
    .filter(([, { internal }]) => internal === undefined)
    .map(([name, { summary }]) => `  ${name.padEnd(16)}${summary}\n`);
  const flags = Object.entries(globalFlags).map(([name, flag]) => {
    const value = flag.kind === "toggle" ? "" : ` ${flag.value}`;
    const short = flag.short === undefined ? "    " : `-${flag.short}, `;
    return `  ${short}${`--${name}${value}`.padEnd(16)}${flag.help}\n`;
  });
  return `Usage:  hull [OPTIONS] COMMAND

Runs one image behind either of two walls: a container or a virtual machine

Commands:
${rows.join("")}
Docker's names in two words work too: hull container ls, hull image rm, hull system df…

Options:
${flags.join("")}
See 'hull COMMAND --help' for the flags of a command.
`;
}

async function print(text: string): Promise<number> {
  await stdout.write(text);
  return 0;
}

/** Where nobody reads the errors, the exit code has to do. */
async function printError(text: string): Promise<void> {
  await stderr.write(text).catch(() => undefined);
}

process.exit(await main(process.argv.slice(2)));
