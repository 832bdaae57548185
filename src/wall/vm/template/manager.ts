/** The templates as users see them: listed, made ahead, taken away. */
import { HullError } from "../../../contract/errors.ts";
import type { TemplateRequest, Templates, TemplateView } from "../../templates.ts";
import { memoryOf, processorsOf } from "../machine.ts";
import type { TemplateEntry } from "./files.ts";
import { mostPlaces, placesFor } from "./key.ts";
import type { HostParts, TemplateStore } from "./store.ts";

export class TemplateManager implements Templates {
  readonly #store: TemplateStore;
  readonly #host: () => Promise<HostParts>;

  constructor(store: TemplateStore, host: () => Promise<HostParts>) {
    this.#store = store;
    this.#host = host;
  }

  async list(): Promise<TemplateView[]> {
    const { programs } = await this.#host();
    const outdated = new Set((await this.#store.outdated(programs)).map(({ key }) => key));
    return (await this.#store.list()).map((entry) => viewOf(entry, outdated.has(entry.key)));
  }

  async build({ memoryBytes, cpus, layers }: TemplateRequest): Promise<TemplateView> {
    const layerPlaces = placesFor(Math.max(1, layers));
    if (layerPlaces === undefined)
      throw new HullError("tooLarge", { what: "the number of layers", value: layers, limit: mostPlaces });
    const resources = { memoryBytes, cpus, pids: 0 };
    const size = { memoryBytes: memoryOf(resources), processors: processorsOf(resources), layerPlaces };
    return viewOf(await this.#store.build(size, await this.#host()), false);
  }

  async remove(name: string): Promise<TemplateView> {
    const all = await this.list();
    const found = all.filter(({ key }) => name !== "" && key.startsWith(name));
    const [template] = found;
    if (template === undefined) throw new HullError("noSuchTemplate", { name });
    if (found.length > 1) throw new HullError("ambiguousName", { what: "templates", value: name });
    await this.#store.remove(template.key);
    return template;
  }

  async prune(): Promise<TemplateView[]> {
    const useless = (await this.list()).filter(({ state }) => state !== "ready");
    for (const { key } of useless) await this.#store.remove(key);
    return useless;
  }
}

function viewOf({ key, manifest, bytes }: TemplateEntry, outdated: boolean): TemplateView {
  return {
    key,
    state: manifest === undefined ? "damaged" : outdated ? "outdated" : "ready",
    memoryBytes: manifest?.memoryBytes ?? 0,
    cpus: manifest?.processors ?? 0,
    layers: manifest?.layerPlaces ?? 0,
    acceleration: manifest?.acceleration ?? "",
    size: bytes,
    createdAt: manifest?.createdAt ?? 0,
  };
}
