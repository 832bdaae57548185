/** What the image store does with registries. */

import { HullError } from "../../contract/errors.ts";
import type { Collector } from "../collector.ts";
import type {
  Digest,
  PullOptions,
  PushedImage,
  PushOptions,
  RegistryAuth,
  RemoteImage,
} from "../image-store.ts";
import { canonicalName, familiarName, parseRepository } from "../reference.ts";
import { RegistryClient } from "./client.ts";
import type { RegistryContext } from "./context.ts";
import { inspectRemote } from "./inspect.ts";
import { checkLogin, domainOfAddress } from "./login.ts";
import { pullImage } from "./pull.ts";
import { pushImage } from "./push.ts";
import { listTags } from "./tags.ts";

export class RegistryCommands {
  readonly #context: RegistryContext;
  readonly #collector: Collector;

  constructor(context: RegistryContext, collector: Collector) {
    this.#context = context;
    this.#collector = collector;
  }

  /** What the work stores and goes by is not collected before its end. */
  #run<T>(work: (context: RegistryContext) => Promise<T>): Promise<T> {
    return this.#collector.run((content) => work({ ...this.#context, content }));
  }

  pull(reference: string, options: PullOptions): Promise<Digest> {
    return this.#run((context) => pullImage(context, reference, options));
  }

  /** One after the other: layers they share are fetched once either way. */
  pullAll(repository: string, options: PullOptions): Promise<Digest[]> {
    return this.#run(async (context) => {
      const name = parseRepository(repository);
      const signal = options.signal ?? new AbortController().signal;
      const { auth } = options;
      const { settings } = this.#context;
      const client = await RegistryClient.open(name, { settings, auth, actions: "pull", signal });
      const ids: Digest[] = [];
      for (const tag of await listTags(client))
        ids.push(await pullImage(context, `${canonicalName(name)}:${tag}`, options));
      return ids;
    });
  }

  push(reference: string, options: PushOptions): Promise<PushedImage> {
    return this.#push((context) => pushImage(context, reference, options));
  }

  /** A push packs layers, whose plain blobs nobody needs any more. */
  async #push<T>(work: (context: RegistryContext) => Promise<T>): Promise<T> {
    const pushed = await this.#run(work);
    await this.#collector.request().catch(() => undefined);
    return pushed;
  }

  pushAll(repository: string, options: PushOptions): Promise<PushedImage[]> {
    return this.#push(async (context) => {
      const canonical = canonicalName(parseRepository(repository));
      const tags = this.#context.records.tagsIn(canonical);
      if (tags.length === 0) throw new HullError("noSuchImage", { name: familiarName(canonical) });
      const pushed: PushedImage[] = [];
      for (const tag of tags) pushed.push(await pushImage(context, `${canonical}:${tag}`, options));
      return pushed;
    });
  }

  login(address: string, auth: RegistryAuth, signal: AbortSignal): Promise<string> {
    return checkLogin(domainOfAddress(address), auth, this.#context.settings, signal);
  }

  inspectRemote(
    reference: string,
    options: { readonly auth?: RegistryAuth | undefined; readonly signal: AbortSignal },
  ): Promise<RemoteImage> {
    return inspectRemote(this.#context.settings, reference, options);
  }
}
