/** Annotations of a container that say what it may reach, and how fast. */
export const annotationOf = {
  /** Destinations with commas between them; `none`: nothing; `any`: everything. */
  egress: "hull.egress.allow",
  /** `10mbit`; `unlimited`. */
  ingressRate: "hull.ingress.rate",
  egressRate: "hull.egress.rate",
} as const;

export type PolicyWord = keyof typeof annotationOf;

export interface PolicyWords {
  /** Undefined: not said; empty: nothing may be reached. */
  readonly egress?: readonly string[] | undefined;
  readonly ingressRate?: string | undefined;
  readonly egressRate?: string | undefined;
}

export function annotationsOf({ egress, ingressRate, egressRate }: PolicyWords): Record<string, string> {
  return {
    ...(egress === undefined
      ? {}
      : { [annotationOf.egress]: egress.length === 0 ? "none" : egress.join(",") }),
    ...(ingressRate === undefined ? {} : { [annotationOf.ingressRate]: ingressRate }),
    ...(egressRate === undefined ? {} : { [annotationOf.egressRate]: egressRate }),
  };
}
