/** The workloads in memory, and how a client's word for one is understood. */
import { HullError } from "../contract/errors.ts";
import type { Workload } from "./workload.ts";

export class Workloads {
  readonly #byId = new Map<string, Workload>();

  add(workload: Workload): void {
    this.#byId.set(workload.id, workload);
  }

  delete(id: string): void {
    this.#byId.delete(id);
  }

  get(id: string): Workload | undefined {
    return this.#byId.get(id);
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** All of them, oldest first. */
  all(): Workload[] {
    return [...this.#byId.values()];
  }

  /** Those that clients may know of. */
  visible(): Workload[] {
    return this.all().filter((workload) => workload.state !== "creating");
  }

  /** By full id, by name (a leading slash does not matter), or by the beginning of an id that only one has. */
  find(word: string): Workload {
    const exact = this.#byId.get(word);
    if (exact !== undefined && exact.state !== "creating") return exact;
    const name = word.startsWith("/") ? word.slice(1) : word;
    const visible = this.visible();
    const named = visible.find((workload) => workload.record.name === name);
    if (named !== undefined) return named;
    const [match, another] = /^[0-9a-f]+$/.test(word)
      ? visible.filter((workload) => workload.id.startsWith(word))
      : [];
    if (another !== undefined) throw new HullError("ambiguousName", { what: "containers", value: word });
    if (match === undefined) throw new HullError("noSuchWorkload", { name: word });
    return match;
  }
}
