/** Trials that are told apart by image, wall and what was tried, and the table of how they went. */
interface Outcome {
  readonly image: string;
  readonly wall: string;
  readonly what: string;
  readonly failure: string | undefined;
  readonly milliseconds: number;
}

const outcomes: Outcome[] = [];

/** Does one; a failure is kept for the table, and told at once. The time is what `work` says, or all of it. */
export async function trial(
  image: string,
  wall: string,
  what: string,
  work: () => Promise<unknown>,
): Promise<boolean> {
  const started = performance.now();
  let failure: string | undefined;
  let own: unknown;
  try {
    own = await work();
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  const milliseconds = typeof own === "number" ? own : performance.now() - started;
  outcomes.push({ image, wall, what, failure, milliseconds });
  console.error(`${image} ${wall} ${what}: ${failure ?? `${milliseconds.toFixed(0)} ms`}`);
  return failure === undefined;
}

export function table(): string {
  const lines = outcomes.map(({ image, wall, what, failure, milliseconds }) => {
    const how = failure === undefined ? "ok" : "failed";
    return `| ${image} | ${wall} | ${what} | ${how} | ${milliseconds.toFixed(0)} ms |`;
  });
  return ["| image | wall | what | | answer after |", "|---|---|---|---|---|", ...lines].join("\n");
}

/** Fails unless the text matches. */
export function expectMatch(text: string, pattern: RegExp): void {
  if (!pattern.test(text)) throw new Error(`expected ${pattern} in:\n${text.slice(-1500)}`);
}
