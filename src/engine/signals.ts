/** Linux signal names and numbers (asm-generic/signal.h). */
import { HullError } from "../contract/errors.ts";

const names = [
  "HUP",
  "INT",
  "QUIT",
  "ILL",
  "TRAP",
  "ABRT",
  "BUS",
  "FPE",
  "KILL",
  "USR1",
  "SEGV",
  "USR2",
  "PIPE",
  "ALRM",
  "TERM",
  "STKFLT",
  "CHLD",
  "CONT",
  "STOP",
  "TSTP",
  "TTIN",
  "TTOU",
  "URG",
  "XCPU",
  "XFSZ",
  "VTALRM",
  "PROF",
  "WINCH",
  "IO",
  "PWR",
  "SYS",
];
const aliases: Readonly<Record<string, number>> = { IOT: 6, CLD: 17, POLL: 29 };
const firstRealTime = 34;
const lastRealTime = 64;

export const SIGKILL = 9;
export const SIGTERM = 15;
export const SIGWINCH = 28;

/** `TERM`, `SIGTERM`, `15`, `RTMIN+3`… as a number. */
export function parseSignal(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : numberOf(text.toUpperCase().replace(/^SIG/, ""));
  if (number === undefined || number < 1 || number > lastRealTime)
    throw new HullError("invalidParameter", {
      what: "signal",
      value: text,
      why: "give a number from 1 to 64 or a name such as SIGTERM",
    });
  return number;
}

function numberOf(name: string): number | undefined {
  const index = names.indexOf(name);
  if (index >= 0) return index + 1;
  if (Object.hasOwn(aliases, name)) return aliases[name];
  const realTime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realTime === null) return undefined;
  const offset = Number(realTime[3] ?? "0");
  const number = realTime[1] === "MIN" ? firstRealTime + offset : lastRealTime - offset;
  const wrongSign = realTime[2] !== undefined && (realTime[1] === "MIN") !== (realTime[2] === "+");
  return wrongSign || number < firstRealTime || number > lastRealTime ? undefined : number;
}
