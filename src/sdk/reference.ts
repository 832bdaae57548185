/** Cuts an image reference at its tag or digest, as the API wants it. What is in the parts is the daemon's to judge. */
export interface SplitReference {
  readonly name: string;
  /** A tag, a digest, or empty. */
  readonly tag: string;
}

export function splitReference(reference: string): SplitReference {
  const at = reference.indexOf("@");
  if (at >= 0) return { name: reference.slice(0, at), tag: reference.slice(at + 1) };
  // A colon before the last slash belongs to the registry's port.
  const colon = reference.lastIndexOf(":");
  if (colon <= reference.lastIndexOf("/")) return { name: reference, tag: "" };
  return { name: reference.slice(0, colon), tag: reference.slice(colon + 1) };
}
