/** Replacing the running program (execve(2)). */
import { ptr } from "bun:ffi";
import { check, cString, cStrings, libc } from "./libc.ts";

/** Replaces this process's program. Returns only by throwing. */
export function execute(path: string, args: readonly string[], env: Readonly<Record<string, string>>): never {
  const program = cString(path);
  const argv = cStrings(args);
  const environment = cStrings(Object.entries(env).map(([name, value]) => `${name}=${value}`));
  check(libc.execve(ptr(program), ptr(argv.array), ptr(environment.array)), "execve", path);
  throw new Error(`execve ${path} returned`);
}
