import { addressOf, Credentials } from "./credentials/credentials.ts";
import { defaultAddress } from "./credentials/for-image.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "logout [SERVER]",
  summary: "Forgets the credentials for a registry.",
  details: "Without SERVER: the registry of names without a host.",
  flags: {},
  arguments: [0, 1],
  async action(context, { args: [server] }) {
    const address = addressOf(server ?? (await defaultAddress(await context.hull())));
    const forgotten = await new Credentials().forget(address);
    await context.stdout.line(
      forgotten ? `Removing login credentials for ${address}` : `Not logged in to ${address}`,
    );
    return 0;
  },
});
