/** Images that come in: POST /images/create (pull, import), POST /images/load. */
import * as v from "valibot";
import type { ProgressLine } from "../../contract/docker.ts";
import { HullError, messageOf } from "../../contract/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { RegistryAuth } from "../../image/image-store.ts";
import type { ByteChannel } from "../channel.ts";
import { type Exchange, parseWith } from "../exchange.ts";
import type { Route } from "../server.ts";

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

/**
 * Docker's stream of progress lines. The status is 200 once the first line is out, so a later failure is the
 * last line; a failure before any line is an answer of its own.
 */
class ProgressStream {
  readonly #exchange: Exchange;
  #channel: ByteChannel | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  readonly send = (line: ProgressLine): void => {
    this.#channel ??= this.#exchange.sendStream("application/json");
    const channel = this.#channel;
    this.#last = this.#last.then(() => channel.write(Buffer.from(`${JSON.stringify(line)}\r\n`)));
  };

  async run(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#channel === undefined) throw error;
      this.send({ error: messageOf(error), errorDetail: { message: messageOf(error) } });
    }
    await this.#last;
    this.#channel?.end();
  }
}

async function pull(engine: Engine, exchange: Exchange): Promise<void> {
  const name = exchange.text("fromImage");
  if (name === "")
    throw new HullError("invalidParameter", { what: "fromImage", value: "", why: "name the image to pull" });
  const word = exchange.text("tag");
  const reference = word === "" ? name : word.includes(":") ? `${name}@${word}` : `${name}:${word}`;
  const auth = registryAuth(exchange);
  const progress = new ProgressStream(exchange);
  await progress.run(async () => {
    const image = await engine.images.pull(reference, {
      platform: exchange.text("platform"),
      ...(auth === undefined ? {} : { auth }),
      onProgress: progress.send,
      signal: exchange.gone,
    });
    progress.send({ status: `Image ID: ${image.id}` });
  });
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
    for (const { id, references } of images) {
      if (references.length === 0) progress.send({ stream: `Loaded image ID: ${id}\n` });
      for (const reference of references) progress.send({ stream: `Loaded image: ${reference}\n` });
    }
  });
}

const authHeader = v.looseObject({
  username: v.nullish(v.string(), ""),
  password: v.nullish(v.string(), ""),
  auth: v.nullish(v.string(), ""),
  identitytoken: v.nullish(v.string(), ""),
});

function registryAuth(exchange: Exchange): RegistryAuth | undefined {
  const header = exchange.request.headers["x-registry-auth"];
  if (header === undefined || header === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(String(header), "base64url").toString("utf8"));
  } catch (error) {
    throw new HullError(
      "invalidParameter",
      { what: "X-Registry-Auth", value: "(hidden)", why: "it is not JSON in URL-safe base64" },
      { cause: error },
    );
  }
  const parsed = parseWith(authHeader, value ?? {}, "X-Registry-Auth");
  const [username = "", ...password] = Buffer.from(parsed.auth, "base64").toString("utf8").split(":");
  const auth = {
    username: parsed.username === "" ? username : parsed.username,
    password: parsed.password === "" ? password.join(":") : parsed.password,
  };
  if (parsed.identitytoken !== "") return { ...auth, identityToken: parsed.identitytoken };
  return auth.username === "" ? undefined : auth;
}
