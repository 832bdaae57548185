import type { Context } from "./context.ts";
import { addressOf, Credentials } from "./credentials/credentials.ts";
import { defaultAddress } from "./credentials/for-image.ts";
import { canAsk, Questions } from "./credentials/prompt.ts";
import { text, toggle, UsageError } from "./parse/options.ts";
import { visibleLine } from "./print/visible.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "login [OPTIONS] [SERVER]",
  summary: "Logs in to a registry.",
  details:
    "The credentials are checked with the registry and kept where docker keeps them: in ~/.docker/config.json, or\nwith the credential helper that is named there. Without SERVER: the registry of names without a host.",
  flags: {
    username: text("NAME", "User name", "u"),
    password: text("PASSWORD", "Password (others on this machine can see it: use --password-stdin)", "p"),
    "password-stdin": toggle("Read the password from standard input"),
  },
  arguments: [0, 1],
  async action(context, { options, args: [server] }) {
    const { username, password } = options;
    const fromInput = options["password-stdin"];
    if (fromInput && password !== undefined)
      throw new UsageError("--password and --password-stdin cannot be used together");
    if (fromInput && username === undefined) throw new UsageError("--password-stdin needs --username");
    if (password !== undefined && password === "") throw new UsageError("the password is empty");
    if (password !== undefined)
      await context.stderr.line(
        "WARNING! A password on the command line is seen by others: use --password-stdin.",
      );
    const hull = await context.hull();
    const address = addressOf(server ?? (await defaultAddress(hull)));
    const credentials = new Credentials();
    const known = await credentials.find(address);
    // As docker: who is logged in already is asked for nothing.
    if (username === undefined && password === undefined && known !== undefined) {
      await context.stdout.line(`Authenticating with the credentials of before for ${address}`);
      const answer = await hull.registries.login(known).catch(() => undefined);
      if (answer !== undefined) return done(context, answer.Status);
      await context.stdout.line("They are refused now.");
    }
    const given = await complete(context, { username, password, fromInput, known: known?.username ?? "" });
    const answer = await hull.registries.login({ ...given, serveraddress: address });
    const identityToken = answer.IdentityToken ?? "";
    const kept = await credentials.keep(address, { ...given, identityToken });
    if ("file" in kept)
      await context.stderr.line(
        `WARNING! The credentials are kept unencrypted in ${kept.file}: a credential helper (credsStore there) does better.`,
      );
    return done(context, answer.Status);
  },
});

async function done(context: Context, status: string): Promise<number> {
  await context.stdout.line(visibleLine(status));
  return 0;
}

async function complete(
  context: Context,
  given: {
    readonly username: string | undefined;
    readonly password: string | undefined;
    readonly fromInput: boolean;
    readonly known: string;
  },
): Promise<{ username: string; password: string }> {
  const { fromInput, known } = given;
  let { username, password } = given;
  if (fromInput) password = (await Bun.stdin.text()).replace(/\r?\n$/, "");
  if ((username === undefined || password === undefined) && !canAsk())
    throw new UsageError("standard input is no terminal to ask on: use --username and --password-stdin");
  const questions = new Questions(context.stderr);
  if (username === undefined) {
    const hint = known === "" ? "" : ` (${known})`;
    username = (await questions.ask(`Username${hint}: `)) || known;
  }
  if (username === "") throw new UsageError("a user name is needed");
  password ??= await questions.askSecret("Password: ");
  if (password === "") throw new UsageError("a password is needed");
  return { username, password };
}
