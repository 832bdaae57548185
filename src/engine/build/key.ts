/**
 * What a step is known by. Two steps with the same key make the same: they start from the same image and do the same,
 * and what they copy is the same, by its digest. Times of files do not count, as Docker has it. Pure.
 */
export function stepKey(parent: string, createdBy: string, more: readonly string[] = []): string {
  const parts = JSON.stringify(["1", parent, createdBy, ...more]);
  return new Bun.CryptoHasher("sha256").update(parts).digest("hex");
}
