/** The build cache on the disk: what it holds, what is shared, what goes with it. */
import { expect, test } from "bun:test";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ImageStoreWithBuilds, openImageStore } from "../store.ts";
import { importOptions, smallTar, streamOf, tarFile } from "../testing/store.ts";
import { tempDirectory } from "../testing/temp.ts";
import type { BuildSession, StageState } from "./build-store.ts";
import { withHistory } from "./stage-config.ts";

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function step(session: BuildSession, state: StageState, name: string): Promise<StageState> {
  const layer = await session.addLayer(once(smallTar(tarFile(name, name))), name);
  const next = session.next(state, state.config, "2026-01-01T00:00:00Z", layer);
  session.keep({ key: name, createdBy: name }, state, next);
  return next;
}

async function withStore(work: (store: ImageStoreWithBuilds, root: string) => Promise<void>): Promise<void> {
  await using temp = await tempDirectory();
  const root = join(temp.path, "root");
  const store = await openImageStore(root);
  try {
    await work(store, root);
  } finally {
    await store.close();
  }
}

test("what steps made outlives the build and the daemon, and goes when it is pruned", async () => {
  await using temp = await tempDirectory();
  const root = join(temp.path, "root");
  const first = await openImageStore(root);
  await first.builds.run(async (session) => {
    const kept = await step(session, session.scratch(), "kept");
    await step(session, kept, "loose");
    await session.finish(kept, ["made:1"]);
  });
  await first.close();
  const store = await openImageStore(root);
  try {
    const usage = await store.builds.usage();
    expect(usage.map(({ step: { key }, shared }) => [key, shared])).toEqual([
      ["kept", true],
      ["loose", false],
    ]);
    expect(usage.every(({ sizeBytes }) => sizeBytes > 0)).toBe(true);
    const layers = () => readdir(join(root, "layers"));
    expect(await layers()).toHaveLength(2);
    const pruned = await store.builds.prune(() => ["loose"]);
    expect(pruned).toEqual({ keys: ["loose"], bytes: usage[1]?.sizeBytes ?? 0 });
    expect(await layers()).toHaveLength(1);
    // What the image has, too, frees nothing.
    expect(await store.builds.prune((all) => all.map((each) => each.step.key))).toEqual({
      keys: ["kept"],
      bytes: 0,
    });
    expect(await layers()).toHaveLength(1);
    await store.remove("made:1", { force: false, inUse: () => undefined });
    expect(await layers()).toEqual([]);
  } finally {
    await store.close();
  }
});

test("a long build is kept step by step, each as what it adds, and comes back as it was", async () => {
  await withStore(async (store) => {
    const steps = 200;
    const made: StageState[] = [];
    const nextOf = (session: BuildSession, state: StageState, index: number): StageState => {
      const line = {
        created: "2026-01-01T00:00:00Z",
        createdBy: `ENV V${index}`,
        author: "",
        emptyLayer: true,
      };
      const env = [...state.config.env, `V${index}=the value of it`];
      const labels = { ...state.config.labels, [`label${steps - index}`]: "its text" };
      const config = withHistory({ ...state.config, env, labels, user: `u${index}` }, line);
      return session.next(state, config, "2026-01-01T00:00:00Z", undefined);
    };
    await store.builds.run(async (session) => {
      let state = await step(session, session.scratch(), "first");
      for (let index = 0; index < steps; index++) {
        const next = nextOf(session, state, index);
        session.keep({ key: `step ${index}`, createdBy: "ENV" }, state, next);
        state = next;
        made.push(state);
      }
    });
    const sizes = (await store.builds.usage()).map(({ step: { delta } }) => JSON.stringify(delta).length);
    expect(sizes).toHaveLength(steps + 1);
    expect(sizes.at(-1) ?? 0).toBeLessThan(2 * (sizes[2] ?? 0));
    await store.builds.run(async (session) => {
      let state = await session.cached("first", session.scratch());
      for (let index = 0; index < steps && state !== undefined; index++) {
        state = await session.cached(`step ${index}`, state);
        expect(state?.json).toBe(made[index]?.json ?? "");
      }
      expect(state?.id).toBe(made.at(-1)?.id ?? "");
      // Of another image the step would make something else.
      expect(await session.cached("step 5", session.scratch())).toBeUndefined();
      expect(await session.cached("step 5", made[4] ?? session.scratch())).toBeUndefined();
    });
  });
}, 60_000);

test("a build that fails leaves the steps that were done, and nothing half-made", async () => {
  await withStore(async (store, root) => {
    const failing = store.builds.run(async (session) => {
      await step(session, session.scratch(), "done");
      await session.addLayer(once(smallTar(tarFile("lost", "lost"))), "lost");
      throw new Error("it failed");
    });
    expect(failing).rejects.toThrow("it failed");
    await failing.catch(() => undefined);
    expect(await readdir(join(root, "layers"))).toHaveLength(1);
    expect(await readdir(join(root, "content/temp"))).toEqual([]);
    expect(await store.list()).toEqual([]);
  });
});

test("a step whose layer is damaged or gone is not taken, and verification forgets it", async () => {
  await withStore(async (store, root) => {
    await store.builds.run(async (session) => {
      await step(session, session.scratch(), "one");
      expect((await session.cached("one", session.scratch()))?.layers).toHaveLength(1);
    });
    const [blob = ""] = await readdir(join(root, "content/blobs/sha256"));
    await writeFile(join(root, "content/blobs/sha256", blob), "damaged");
    const parts: string[] = [];
    const options = {
      repair: true,
      signal: new AbortController().signal,
      authOf: () => undefined,
      onPart: (part: { note: string }) => {
        parts.push(part.note);
        return Promise.resolve();
      },
    };
    expect(await store.verify(options)).toBe(true);
    expect(parts).toContain("forgotten by the build cache");
    await store.builds.run(async (session) => {
      expect(await session.cached("one", session.scratch())).toBeUndefined();
    });
  });
});

test("a hidden image is in no list and goes with its last lease", async () => {
  await withStore(async (store) => {
    let lease: Disposable | undefined;
    await store.builds.run(async (session) => {
      const state = await step(session, session.scratch(), "hidden");
      const image = await session.hidden(state);
      expect((await session.hidden(state)).id).toBe(image.id);
      lease = store.lease(image.id);
      expect(await store.list()).toEqual([]);
      expect(store.resolve(image.id)).rejects.toThrow("No such image");
    });
    lease?.[Symbol.dispose]();
    await store.builds.run(async () => undefined);
    expect(await store.list()).toEqual([]);
  });
});

test("a build that takes long keeps what it goes on from, and nothing else that is removed", async () => {
  await withStore(async (store, root) => {
    const unused = { force: false, inUse: () => undefined };
    const base = await store.importTar(streamOf(smallTar(tarFile("base", "b"))), importOptions);
    const other = await store.importTar(streamOf(smallTar(tarFile("other", "o"))), importOptions);
    // From now on it is known that nobody else has hidden images in use.
    store.lease(other.id)[Symbol.dispose]();
    await store.builds.run(async (session) => {
      const state = session.from(base);
      const layer = await session.addLayer(once(smallTar(tarFile("made", "m"))), "made");
      const image = await session.hidden(session.next(state, state.config, "2026-01-01T00:00:00Z", layer));
      await store.remove(base.id, unused);
      await store.remove(other.id, unused);
      expect(await readdir(join(root, "layers"))).toHaveLength(2);
      // A workload can start from it still, and from then on it is the workload's.
      const lease = store.lease(image.id);
      using tree = session.treeOf(state);
      expect(tree.root.child("base")).toBeDefined();
      lease[Symbol.dispose]();
    });
    expect(await readdir(join(root, "layers"))).toEqual([]);
  });
});

test("a config that no registry would take is refused", async () => {
  await withStore(async (store) => {
    await store.builds.run(async (session) => {
      const scratch = session.scratch();
      const config = { ...scratch.config, env: Array.from({ length: 9 }, () => "x".repeat(2 ** 20)) };
      const next = () => session.next(scratch, config, "2026-01-01T00:00:00Z", undefined);
      expect(next).toThrow("the image's config is too large");
      return Promise.resolve();
    });
  });
});

test("a context or an archive that takes long to come holds up no collection", async () => {
  await withStore(async (store, root) => {
    const first = await store.importTar(streamOf(smallTar(tarFile("a", "b"))), importOptions);
    const begun = Promise.withResolvers<void>();
    const sent = Promise.withResolvers<void>();
    async function* slow(): AsyncGenerator<Uint8Array> {
      const bytes = smallTar(tarFile("Dockerfile", "FROM scratch"));
      yield bytes.subarray(0, 100);
      begun.resolve();
      await sent.promise;
      yield bytes.subarray(100);
    }
    const context = store.builds.receiveContext(slow(), "it");
    const archive = slow();
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await archive.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
    });
    const loaded = store.load(stream, () => undefined).catch(() => undefined);
    await begun.promise;
    await store.remove(first.id, { force: false, inUse: () => undefined });
    expect(await readdir(join(root, "layers"))).toEqual([]);
    sent.resolve();
    await using received = await context;
    expect(received.bytes).toBe("FROM scratch".length);
    await loaded;
  });
});
