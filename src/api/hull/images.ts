/** POST /hull/v1/images/verify: looks through all that images keep on the disk, and mends what it can. */
import type { VerifyLine } from "../../contract/docker/verify.ts";
import { messageOf } from "../../contract/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Exchange } from "../exchange.ts";
import { registryAuths } from "../registry-auth.ts";
import type { Route } from "../server.ts";

export function imageVerifyRoutes(engine: Engine): Route[] {
  return [{ method: "POST", path: "/hull/v1/images/verify", handle: (exchange) => verify(engine, exchange) }];
}

/** JSON lines: what is damaged as it is found, and a last one that sums up. */
async function verify(engine: Engine, exchange: Exchange): Promise<void> {
  const authOf = registryAuths(exchange);
  const repair = exchange.flag("repair", true);
  const channel = exchange.sendStream("application/json");
  const send = (line: VerifyLine): Promise<void> => channel.write(Buffer.from(`${JSON.stringify(line)}\n`));
  const counts = { blob: 0, layer: 0 };
  try {
    const whole = await engine.images.verify({
      repair,
      authOf,
      signal: exchange.gone,
      async onPart({ kind, digest, images, damage, repaired, note }) {
        counts[kind] += 1;
        if (damage === "") return;
        await send({
          Damaged: {
            Kind: kind,
            Digest: digest,
            Images: images,
            Damage: damage,
            Repaired: repaired,
            Note: note,
          },
        });
      },
    });
    await send({ Done: { Whole: whole, Blobs: counts.blob, Layers: counts.layer } });
  } catch (error) {
    await send({ Error: messageOf(error) });
  }
  channel.end();
}
