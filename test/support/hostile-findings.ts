/** What guest/test/hostile.c found in QEMU's place, with the jail's filter of system calls and without. */
import { expect } from "bun:test";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import type { OciConfig } from "../../src/wall/oci/config.ts";
import type { MachineParts } from "../../src/wall/vm/machine.ts";
import type { QemusPlace } from "./qemus-place.ts";

/** What the attempts of one name ended with, in their order. */
type Findings = (name: string) => string[];

export const unfiltered = (config: OciConfig): OciConfig => {
  const { seccomp, ...linux } = config.linux;
  expect(seccomp).toBeDefined();
  return { ...config, linux };
};

/** What there is outside to be reached: sockets of every kind, and this process. */
export class Outside implements Disposable {
  readonly #servers: Server[] = [];
  readonly #socket: string;
  #port = 0;

  constructor(directory: string) {
    this.#socket = join(directory, "daemon.sock");
  }

  async open(): Promise<void> {
    this.#port = await this.#listen(0);
    await this.#listen(this.#socket);
    await this.#listen(`\0hull-hostile-${this.#port}`);
  }

  get words(): string[] {
    return [String(process.pid), this.#socket, String(this.#port), "look"];
  }

  [Symbol.dispose](): void {
    for (const server of this.#servers) server.close();
  }

  async #listen(where: number | string): Promise<number> {
    const server = createServer((socket) => socket.destroy());
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.on("error", reject);
      if (typeof where === "number") server.listen(where, "127.0.0.1", resolve);
      else server.listen(where, resolve);
    });
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }
}

export class Outcomes {
  readonly #outcomes = new Map<string, Findings>();

  async look(place: QemusPlace, outside: Outside, parts: () => MachineParts): Promise<void> {
    for (const [how, change] of [["with the filter"], ["without the filter", unfiltered]] as const) {
      const { output, exit } = await place.run({ words: outside.words, change, parts: parts() });
      expect([exit.code, output.split("\n").at(-2)]).toEqual([0, "done ok"]);
      const lines = output.split("\n").map((line) => {
        const space = line.indexOf(" ");
        return [line.slice(0, space), line.slice(space + 1)] as const;
      });
      this.#outcomes.set(how, (name) => lines.filter(([found]) => found === name).map(([, end]) => end));
    }
  }

  all(): Findings[] {
    return [...this.#outcomes.values()];
  }

  /** Both ways, whatever the error is. */
  refused(...names: string[]): void {
    for (const [how, found] of this.#outcomes)
      for (const name of names) {
        const ends = found(name);
        expect([how, name, ends.length]).toEqual([how, name, 1]);
        expect([how, name, ends[0]]).toEqual([how, name, expect.stringMatching(/^E[A-Z0-9]+$/)]);
      }
  }

  /** Only the filter stands in the way. */
  filtered(...names: string[]): void {
    const found = this.#outcomes.get("with the filter");
    for (const name of names) expect([name, found?.(name)]).toEqual([name, ["EPERM"]]);
  }

  /** The same both ways, but for the numbers of pipes and sockets. */
  both(name: string): string[] {
    const [one = [], other] = this.all().map((found) =>
      found(name).map((result) => result.replace(/\[\d+\]/, "[N]")),
    );
    expect(other).toEqual(one);
    return one;
  }
}
