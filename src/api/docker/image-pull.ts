/** POST /images/create?fromImage=: pulls an image, or all tags of a repository. */
import { HullError } from "../../contract/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Exchange } from "../exchange.ts";
import { registryAuth } from "../registry-auth.ts";
import { ProgressStream } from "./progress-stream.ts";

export async function pull(engine: Engine, exchange: Exchange): Promise<void> {
  const name = exchange.text("fromImage");
  if (name === "")
    throw new HullError("invalidParameter", { what: "fromImage", value: "", why: "name the image to pull" });
  const word = exchange.text("tag");
  const reference = word === "" ? name : word.includes(":") ? `${name}@${word}` : `${name}:${word}`;
  const auth = registryAuth(exchange, name);
  const progress = new ProgressStream(exchange);
  await progress.run(async () => {
    const options = {
      platform: exchange.text("platform"),
      ...(auth === undefined ? {} : { auth }),
      onProgress: progress.send,
      signal: exchange.gone,
    };
    // As in Docker, a name alone means all of its tags; its command line says `latest` when that is meant.
    const isBare = !reference.includes("@") && reference.lastIndexOf(":") <= reference.lastIndexOf("/");
    if (isBare) await engine.images.pullAll(reference, options);
    else await engine.images.pull(reference, options);
  });
}
