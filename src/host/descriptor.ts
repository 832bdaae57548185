/** File descriptors that the C library gave us. */
import { libc } from "./libc.ts";

/** Closes a descriptor; errors are of no use at this point. */
export function closeDescriptor(descriptor: number): void {
  libc.close(descriptor);
}
