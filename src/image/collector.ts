/**
 * Collection of garbage beside work in progress. A pull's layers belong to no image until its end, and what a save reads
 * may be removed by name meanwhile: each piece of work has a session of the content store, and what its session holds is
 * spared. So nobody waits for anybody, however long a build's command or a slow client takes.
 */
import type { ContentStore, Sweep } from "./content/content-store.ts";

export interface OpenSession extends AsyncDisposable {
  readonly content: ContentStore;
}

export class Collector {
  readonly #content: ContentStore;
  readonly #collect: () => Sweep;
  /** Something became garbage that a collection has not seen, or had to spare. */
  #wanted = false;
  #removing: Promise<unknown> = Promise.resolve();

  /** `collect` takes everything away that is garbage, in one turn; see `ContentStore.sweep`. */
  constructor(content: ContentStore, collect: () => Sweep) {
    this.#content = content;
    this.#collect = collect;
  }

  /**
   * Runs `work` with the content store as a session of its own. That the work has done what it should does not change
   * when collection fails: the next one finds what is left.
   */
  async run<T>(work: (content: ContentStore) => Promise<T>): Promise<T> {
    await using session = this.enter();
    try {
      return await work(session.content);
    } catch (error) {
      // What it stored before it failed belongs to nothing.
      this.#wanted = true;
      throw error;
    }
  }

  /** The same for work that goes on until what is returned is disposed of. */
  enter(): OpenSession {
    const session = this.#content.session();
    return {
      content: session.content,
      [Symbol.asyncDispose]: async () => {
        session[Symbol.dispose]();
        if (this.#wanted) await this.request().catch(() => undefined);
      },
    };
  }

  /** Something may have become garbage. Resolves when what nobody needs or holds is gone. */
  async request(): Promise<void> {
    this.#wanted = true;
    const { spared, removed } = this.#collect();
    this.#wanted = spared;
    const done = removed.catch(() => {
      this.#wanted = true;
    });
    this.#removing = Promise.all([this.#removing, done]);
    await removed;
  }

  /** Waits for a collection that goes on. */
  async close(): Promise<void> {
    await this.#removing;
  }
}
