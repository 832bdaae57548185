/** /hull/v1/templates: what virtual machines start from. */
import type { TemplateBuildRequest, TemplateSummary } from "../contract/docker.ts";
import { checked } from "./lazy-schemas.ts";
import type { Transport } from "./transport.ts";

const path = "/hull/v1/templates";

export class Templates {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(): Promise<TemplateSummary[]> {
    return checked("templates", await this.#transport.json("GET", path));
  }

  /** Makes the template for a size, unless it is there. Takes as long as a virtual machine boots. */
  async build(request: TemplateBuildRequest = {}): Promise<TemplateSummary> {
    return checked("template", await this.#transport.json("POST", path, { json: request }));
  }

  /** Takes away the template whose id begins with `name`. */
  async remove(name: string): Promise<TemplateSummary> {
    return checked("template", await this.#transport.json("DELETE", `${path}/${encodeURIComponent(name)}`));
  }

  /** Takes away those that no start would use any more; resolves to them. */
  async prune(): Promise<TemplateSummary[]> {
    return checked("templates", await this.#transport.json("POST", `${path}/prune`));
  }
}
