/** What can be done with the templates that a wall starts its workloads from. */

export interface Templates {
  list(): Promise<TemplateView[]>;
  /** Makes the template for a size, unless it is there. Throws `noSpace` when it cannot be kept. */
  build(request: TemplateRequest): Promise<TemplateView>;
  /** Takes one away, named by its key or the beginning of it. What was started from it runs on. */
  remove(name: string): Promise<TemplateView>;
  /** Takes away what no start would use any more: made of other parts than today's, or damaged. */
  prune(): Promise<TemplateView[]>;
}

/** The machine that a template is for; what is not said is as for a workload that does not say it. */
export interface TemplateRequest {
  /** Bytes; 0: the default. */
  readonly memoryBytes: number;
  /** 0: the default. */
  readonly cpus: number;
  /** Layers of the images; 0: few. */
  readonly layers: number;
}

export interface TemplateView {
  /** 64 hexadecimal digits, made of all that decides what is in it. */
  readonly key: string;
  /** `outdated`: of parts that have changed since. `damaged`: nothing else is known of it. */
  readonly state: "ready" | "outdated" | "damaged";
  readonly memoryBytes: number;
  readonly cpus: number;
  /** Most layers of an image that can start from it. */
  readonly layers: number;
  readonly acceleration: string;
  /** Bytes on the disk. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}
