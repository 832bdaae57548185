/** Words of strangers (an image's, a workload's, a registry's) for a terminal, which obeys control characters. */
import { messageOf } from "../../contract/errors.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is shown.
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Control characters are shown as `\x1b`; tabs and ends of lines stay. */
export function visible(text: string): string {
  return text.replaceAll(
    controls,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

/** As `visible`, on one line. */
export function visibleLine(text: string): string {
  return visible(text.replaceAll(/[\t\n]/g, " "));
}

/** What is said of a failure. */
export function complaint(error: unknown): string {
  return `hull: ${visible(messageOf(error))}`;
}
