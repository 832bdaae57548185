/**
 * What a workload may reach, and how fast. Docker has no words for these: they come as annotations of the create request,
 * which the docker command and Compose can give, or as labels of the request from clients that have no annotations. Labels
 * of the image say nothing here.
 */
import { HullError } from "../../contract/errors.ts";
import { annotationOf, annotationsOf, type PolicyWord } from "../../contract/policy.ts";
import { canonicalList } from "../../network/egress/allow-list.ts";
import { formatRate, parseRate } from "../../network/policy/rate.ts";
import type { NetworkRequest } from "../../network/records/types.ts";

type Policy = Pick<NetworkRequest, "egress" | "ingressRate" | "egressRate">;
type Texts = Readonly<Record<string, string>>;

/** Throws for an annotation that says nothing to Hull, too. */
export function translatePolicy(annotations: Texts, labels: Texts): Policy {
  const known: readonly string[] = Object.values(annotationOf);
  const other = Object.keys(annotations).find((name) => !known.includes(name));
  if (other !== undefined)
    throw new HullError("unsupported", {
      what: `the annotation ${other}`,
      where: "",
      why: `those that mean something here are ${known.join(", ")}; what is only to be kept is a label`,
    });
  const said = (word: PolicyWord): string | undefined => {
    const name = annotationOf[word];
    const [annotation, label] = [annotations[name], labels[name]];
    if (annotation !== undefined && label !== undefined && annotation !== label)
      throw new HullError("conflict", {
        what: `the annotation ${name} and the label of that name differ: say it once`,
      });
    return annotation ?? label;
  };
  const egress = parseEgress(said("egress")?.split(","));
  const ingressRate = parseRateOf(said("ingressRate"), "rate of ingress");
  const egressRate = parseRateOf(said("egressRate"), "rate of egress");
  return {
    ...(egress === null ? {} : { egress }),
    ...(ingressRate === null ? {} : { ingressRate }),
    ...(egressRate === null ? {} : { egressRate }),
  };
}

/** `any` is no list, `none` an empty one; null: nothing is restricted. */
export function parseEgress(words: readonly string[] | undefined): string[] | null {
  if (words === undefined) return null;
  const given = words.map((word) => word.trim()).filter((word) => word !== "");
  const [first] = given;
  if (given.length === 1 && (first === "any" || first === "none")) return first === "any" ? null : [];
  const alone = given.find((word) => word === "any" || word === "none");
  if (alone !== undefined || given.length === 0)
    throw new HullError("invalidParameter", {
      what: "allowed destination",
      value: alone ?? "",
      why: "any and none stand alone, and a list names at least one destination",
    });
  return canonicalList(given);
}

/** `unlimited`, or nothing, is null. */
export function parseRateOf(text: string | undefined, what: string): number | null {
  return text === undefined || text === "unlimited" ? null : parseRate(text, what);
}

/** As it can be given again. */
export function policyAnnotations({ egress, ingressRate, egressRate }: Policy): Record<string, string> {
  const rate = (value: number | undefined): string | undefined =>
    value === undefined ? undefined : formatRate(value);
  return annotationsOf({ egress, ingressRate: rate(ingressRate), egressRate: rate(egressRate) });
}
