import { Credentials } from "./credentials/credentials.ts";
import { toggle } from "./parse/options.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "image verify [OPTIONS]",
  summary: "Checks every blob and layer of images against its digest, and mends what is damaged.",
  details:
    "A blob is fetched again from where its image was pulled, a layer is made again from its blob.\nThe exit code is 1 when something is damaged and not mended.",
  flags: { check: toggle("Only tell what is damaged") },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const auths = await new Credentials().all();
    let whole = false;
    for await (const { Damaged, Done } of hull.images.verify({ repair: !options.check, auths })) {
      if (Damaged !== undefined) {
        const { Kind, Digest, Images, Damage, Repaired, Note } = Damaged;
        const outcome = Repaired ? `mended: ${Note}` : options.check ? "not mended" : `not mended: ${Note}`;
        await context.stdout.line(`${Kind} ${Digest} of ${Images.join(", ")}: ${Damage}; ${outcome}`);
      }
      if (Done === undefined) continue;
      whole = Done.Whole;
      const state = whole ? "all is whole" : "some of it is damaged";
      await context.stdout.line(`${Done.Blobs} blobs and ${Done.Layers} layers: ${state}`);
    }
    return whole ? 0 : 1;
  },
});
