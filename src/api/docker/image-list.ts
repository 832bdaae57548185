/** GET /images/json: which images are listed, and how. */
import type { ImageSummary } from "../../contract/docker.ts";
import { anyOfName, exactly, Glob, type GlobStep } from "../../contract/glob.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Image, StoreUsage } from "../../image/image-store.ts";
import type { Exchange } from "../exchange.ts";
import { booleanFilter, type Filters, parseFilters, passesAllLabels } from "./filters.ts";
import { parseInstant } from "./times.ts";

export async function listImages(engine: Engine, exchange: Exchange): Promise<void> {
  const filters = parseFilters(exchange, [
    ...["before", "dangling", "label", "label!", "reference", "since", "until"],
  ]);
  const images = await filtered(engine, filters);
  const usage = exchange.flag("shared-size") ? await engine.images.usage() : undefined;
  exchange.sendJson(200, summariesOf(engine, images, usage));
}

async function filtered(engine: Engine, filters: Filters): Promise<Image[]> {
  const createdAt = async (word: string): Promise<number> =>
    secondsOf((await engine.images.resolve(word)).config.created);
  const before = await Promise.all((filters.get("before") ?? []).map(createdAt));
  const since = await Promise.all((filters.get("since") ?? []).map(createdAt));
  const older = isOlder(filters);
  const dangling = booleanFilter(filters, "dangling");
  const references = (filters.get("reference") ?? []).map(referenceMatcher);
  return (await engine.images.list()).filter(
    (image) =>
      (dangling === undefined || (dangling ? !isTagged(image) : isNamed(image))) &&
      (references.length === 0 || references.some((matches) => namesOf(image).some(matches))) &&
      passesAllLabels(filters, image.config.labels) &&
      older(image) &&
      before.every((instant) => secondsOf(image.config.created) < instant) &&
      since.every((instant) => secondsOf(image.config.created) > instant),
  );
}

function isTagged(image: Image): boolean {
  return image.references.length > 0;
}

/** An image that is known by a digest alone is no dangling one, and shown as one without a tag. */
function isNamed(image: Image): boolean {
  return isTagged(image) || image.digests.length > 0;
}

function namesOf(image: Image): string[] {
  return [...image.references, ...image.digests.map((digest) => digest.replace("@sha256:", ":"))];
}

/** Of the filter `until`: whether an image was made before all that it says. */
export function isOlder(filters: Filters): (image: Image) => boolean {
  const instants = (filters.get("until") ?? []).map((text) => parseInstant("until", text));
  return ({ config }) =>
    instants.every((instant) => BigInt(secondsOf(config.created)) * 1_000_000_000n < instant);
}

/** `*` matches within a part of the name; a pattern without a tag matches all of them. */
function referenceMatcher(pattern: string): (reference: string) => boolean {
  const tagged = /:[^/]*$/.test(pattern);
  const glob = new Glob([...pattern].map((character) => globSteps.get(character) ?? exactly(character)));
  return (reference) => glob.matches([...(tagged ? reference : reference.replace(/:[^/:]*$/, ""))]);
}

const globSteps: ReadonlyMap<string, GlobStep> = new Map([
  ["*", { is: "part" }],
  ["?", anyOfName],
]);

/** With `usage`, sizes are what images take on the disk, so that they add up; otherwise what is unpacked of them. */
export function summariesOf(engine: Engine, images: readonly Image[], usage?: StoreUsage): ImageSummary[] {
  const users = new Map<string, number>();
  for (const { record } of engine.list()) users.set(record.image, (users.get(record.image) ?? 0) + 1);
  return images
    .map((image): ImageSummary => {
      const own = usage?.images.get(image.id);
      const size = own?.bytes ?? image.sizeBytes;
      return {
        Id: image.id,
        ParentId: "",
        RepoTags: image.references,
        RepoDigests: image.digests,
        Created: secondsOf(image.config.created),
        Size: size,
        SharedSize: own?.sharedBytes ?? -1,
        VirtualSize: size,
        Labels: image.config.labels,
        Containers: users.get(image.id) ?? 0,
      };
    })
    .sort((one, other) => other.Created - one.Created);
}

export function secondsOf(time: string): number {
  const milliseconds = Date.parse(time);
  return Number.isNaN(milliseconds) ? 0 : Math.floor(milliseconds / 1000);
}
