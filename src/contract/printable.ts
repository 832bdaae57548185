/** A stranger's words: not too many, on one line, without what a terminal would obey. */
export function printable(words: string): string {
  return words
    .slice(0, 512)
    .replaceAll(/[\p{C}\p{Z}]+/gu, " ")
    .trim();
}
