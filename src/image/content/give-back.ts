/** Gives the memory of bytes back that were passed on and are needed no more. */

/**
 * At once, where garbage collection would come after tens of MB of them. They are empty from now on, and so is every view
 * of the same memory; what is only a part of a larger piece of memory is left alone.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength) buffer.transfer(0);
}
