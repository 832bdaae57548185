/** Images that come in: POST /images/create (pull, import), POST /images/load. */
import { HullError } from "../../contract/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";
import { pull } from "./image-pull.ts";
import { ProgressStream } from "./progress-stream.ts";

export function imageTransferRoutes(engine: Engine): Route[] {
  return [
    {
      method: "POST",
      path: "/images/create",
      async handle(exchange) {
        if (exchange.text("fromSrc") !== "") await importImage(engine, exchange);
        else await pull(engine, exchange);
      },
    },
    { method: "POST", path: "/images/load", handle: (exchange) => load(engine, exchange) },
  ];
}

async function importImage(engine: Engine, exchange: Exchange): Promise<void> {
  const source = exchange.text("fromSrc");
  if (source !== "-")
    throw new HullError("unsupported", {
      what: `fromSrc ${source}`,
      where: "",
      why: "send the tar as the body of the request, with fromSrc=-",
    });
  const repository = exchange.text("repo");
  const word = exchange.text("tag");
  const progress = new ProgressStream(exchange);
  await progress.run(async () => {
    const image = await engine.images.importTar(exchange.stream(), {
      reference: repository === "" || word === "" ? repository : `${repository}:${word}`,
      message: exchange.text("message"),
      changes: exchange.query.getAll("changes"),
      platform: exchange.text("platform"),
    });
    progress.send({ status: image.id });
  });
}

async function load(engine: Engine, exchange: Exchange): Promise<void> {
  const progress = new ProgressStream(exchange);
  const quiet = exchange.flag("quiet");
  await progress.run(async () => {
    const images = await engine.images.load(exchange.stream(), quiet ? () => {} : progress.send);
    for (const { id, loadedAs } of images) {
      if (loadedAs.length === 0) progress.send({ stream: `Loaded image ID: ${id}\n` });
      for (const reference of loadedAs) progress.send({ stream: `Loaded image: ${reference}\n` });
    }
  });
}
