/** Awaiting a condition, with a limit that fails the test and says what was awaited. */
export async function until(
  what: string | (() => string),
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (await condition()) return;
    if (Date.now() > deadline)
      throw new Error(`not within ${timeoutMs} ms: ${typeof what === "string" ? what : what()}`);
    await Bun.sleep(20);
  }
}
