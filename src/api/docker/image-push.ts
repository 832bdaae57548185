/** POST /images/{name}/push */
import * as v from "valibot";
import type { Engine } from "../../engine/engine.ts";
import { type Exchange, parseWith } from "../exchange.ts";
import { registryAuth } from "../registry-auth.ts";
import { ProgressStream } from "./progress-stream.ts";

const platformSchema = v.looseObject({
  os: v.optional(v.string(), ""),
  architecture: v.optional(v.string(), ""),
  variant: v.optional(v.string(), ""),
});

export async function push(engine: Engine, exchange: Exchange, name: string): Promise<void> {
  const tag = exchange.text("tag");
  const auth = registryAuth(exchange, name);
  const platform = platformOf(exchange);
  const progress = new ProgressStream(exchange);
  await progress.run(async () => {
    const options = {
      platform,
      ...(auth === undefined ? {} : { auth }),
      onProgress: progress.send,
      signal: exchange.gone,
    };
    const isTagged = name.lastIndexOf(":") > name.lastIndexOf("/");
    if (tag === "" && !isTagged) await engine.images.pushAll(name, options);
    else await engine.images.push(tag === "" ? name : `${name}:${tag}`, options);
  });
}

/** JSON of an OCI platform, since API 1.46; Hull's own client writes it as a pull's. */
function platformOf(exchange: Exchange): string {
  const text = exchange.text("platform");
  if (!text.startsWith("{")) return text;
  const { os, architecture, variant } = parseWith(
    platformSchema,
    exchange.jsonParameter("platform"),
    "platform",
  );
  return [os, architecture, variant].filter((part) => part !== "").join("/");
}
