/** The nft program of nftables: scripts are carried out as one transaction, wholly or not at all. */
import { HullError } from "../../contract/errors.ts";
import { exitCodeOf, run, start } from "../spawn.ts";

export async function runNft(script: string): Promise<void> {
  const child = start(["nft", "-f", "-"], { stdio: ["pipe", "ignore", "pipe"] });
  const { stdin, stderr } = child;
  if (
    stdin === null ||
    stdin === undefined ||
    typeof stdin === "number" ||
    !(stderr instanceof ReadableStream)
  )
    throw new HullError("internal", { what: "nft was started without pipes" });
  stdin.write(script);
  await stdin.end();
  const said = await new Response(stderr).text();
  await child.exited;
  const code = exitCodeOf(child);
  if (code !== 0) throw new NftError(code, said.trim());
}

class NftError extends Error {
  override readonly name = "NftError";

  constructor(code: number, said: string) {
    super(`nft refused the rules (exit code ${code}): ${said.split("\n").slice(0, 3).join("; ")}`);
  }
}

/** A table as nft prints it, `terse`: without the elements of its named sets; undefined when there is none. */
export async function listTable(family: string, name: string, terse = false): Promise<string | undefined> {
  const command = ["nft", ...(terse ? ["--terse"] : []), "list", "table", family, name];
  const result = await run(command, { outputLimit: 16 * 1024 * 1024 });
  return result.code === 0 ? result.stdout : undefined;
}
