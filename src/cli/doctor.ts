import type { DoctorCheck } from "../contract/docker.ts";
import { text } from "./parse/options.ts";
import { isTerminal } from "./session/terminal.ts";
import { defineVerb } from "./verb.ts";

const signs = { ok: "ok", warning: "!!", missing: "--" } as const;
const colours = { ok: "\x1b[32m", warning: "\x1b[33m", missing: "\x1b[31m" } as const;

export default defineVerb({
  usage: "doctor [OPTIONS]",
  summary: "Checks all that Hull needs of this host, and says how to mend what is missing.",
  details: "Exits with 1 when something is missing that Hull cannot do without.",
  flags: { format: text("FORMAT", "json") },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const report = await hull.system.doctor();
    if (options.format === "json") await context.stdout.line(JSON.stringify(report));
    else {
      const width = Math.max(...report.checks.map(({ name }) => name.length));
      const coloured = isTerminal(1);
      await context.stdout.write(report.checks.map((check) => checkText(check, width, coloured)).join(""));
      const count = report.checks.filter(({ status }) => status !== "ok").length;
      const summary =
        count === 0 ? "Everything is there." : `${count} of ${report.checks.length} need attention.`;
      await context.stdout.line(
        `\n${summary}${report.healthy ? "" : " Hull cannot work without what is missing."}`,
      );
    }
    return report.healthy ? 0 : 1;
  },
});

function checkText(
  { name, status, found, meaning, remedy }: DoctorCheck,
  width: number,
  coloured: boolean,
): string {
  const sign = coloured ? `${colours[status]}${signs[status]}\x1b[0m` : signs[status];
  const indent = " ".repeat(width + 5);
  const lines = [`${sign}  ${name.padEnd(width)} ${found}`.trimEnd()];
  if (meaning !== "") lines.push(`${indent}${meaning}`);
  if (remedy !== "") lines.push(`${indent}mend: ${remedy}`);
  return `${lines.join("\n")}\n`;
}
