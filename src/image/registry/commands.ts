/** What the image store does with registries; collection of garbage keeps away from what they have in hand. */

import { HullError } from "../../contract/errors.ts";
import type { Gate } from "../gate.ts";
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
  readonly #gate: Gate;

  constructor(context: RegistryContext, gate: Gate) {
    this.#context = context;
    this.#gate = gate;
  }

  pull(reference: string, options: PullOptions): Promise<Digest> {
    return this.#gate.run(() => pullImage(this.#context, reference, options));
  }

  /** One after the other: layers they share are fetched once either way. */
  pullAll(repository: string, options: PullOptions): Promise<Digest[]> {
    return this.#gate.run(async () => {
      const name = parseRepository(repository);
      const signal = options.signal ?? new AbortController().signal;
      const { auth } = options;
      const { settings } = this.#context;
      const client = await RegistryClient.open(name, { settings, auth, actions: "pull", signal });
      const ids: Digest[] = [];
      for (const tag of await listTags(client))
        ids.push(await pullImage(this.#context, `${canonicalName(name)}:${tag}`, options));
      return ids;
    });
  }

  push(reference: string, options: PushOptions): Promise<PushedImage> {
    return this.#gate.run(() => pushImage(this.#context, reference, options));
  }

  pushAll(repository: string, options: PushOptions): Promise<PushedImage[]> {
    return this.#gate.run(async () => {
      const canonical = canonicalName(parseRepository(repository));
      const tags = this.#context.records.tagsIn(canonical);
      if (tags.length === 0) throw new HullError("noSuchImage", { name: familiarName(canonical) });
      const pushed: PushedImage[] = [];
      for (const tag of tags) pushed.push(await pushImage(this.#context, `${canonical}:${tag}`, options));
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
