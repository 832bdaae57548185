/**
 * Programs that keep credentials for docker: `docker-credential-NAME get|store|erase|list`, JSON or an address on
 * standard input, JSON on standard output. Source: docker/docker-credential-helpers, README.
 */
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";

/** In place of a user's name: the secret is an identity token. */
export const tokenUser = "<token>";

const secretSchema = v.looseObject({ Username: v.string(), Secret: v.string() });
const listSchema = dictionary(v.string());

export interface Secret {
  readonly username: string;
  readonly secret: string;
}

export class CredentialHelper {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  /** Undefined: it has none. */
  async get(address: string): Promise<Secret | undefined> {
    const answer = await this.#run("get", address);
    if (answer.code !== 0) {
      if (/credentials not found|missing server url|no credentials/i.test(answer.text)) return undefined;
      throw this.#failed("get", answer.text);
    }
    const { Username, Secret } = this.#parse(secretSchema, answer.text);
    return Username === "" && Secret === "" ? undefined : { username: Username, secret: Secret };
  }

  async store(address: string, { username, secret }: Secret): Promise<void> {
    const input = JSON.stringify({ ServerURL: address, Username: username, Secret: secret });
    const answer = await this.#run("store", input);
    if (answer.code !== 0) throw this.#failed("store", answer.text);
  }

  async erase(address: string): Promise<void> {
    const answer = await this.#run("erase", address);
    if (answer.code !== 0 && !/not found/i.test(answer.text)) throw this.#failed("erase", answer.text);
  }

  /** Addresses that it has credentials for. */
  async list(): Promise<string[]> {
    const answer = await this.#run("list", "");
    if (answer.code !== 0) throw this.#failed("list", answer.text);
    return Object.keys(this.#parse(listSchema, answer.text));
  }

  #parse<T extends v.GenericSchema>(schema: T, text: string): v.InferOutput<T> {
    try {
      return v.parse(schema, JSON.parse(text));
    } catch {
      // The text may be a secret.
      throw new Error(`docker-credential-${this.#name} answered with something else than credentials`);
    }
  }

  #failed(verb: string, text: string): Error {
    const words = text.trim().slice(0, 500);
    return new Error(`docker-credential-${this.#name} ${verb} failed${words === "" ? "" : `: ${words}`}`);
  }

  async #run(verb: string, input: string): Promise<{ readonly code: number; readonly text: string }> {
    // It is a part of a program's name, never a path.
    if (!/^[A-Za-z0-9._-]+$/.test(this.#name))
      throw new Error(`${JSON.stringify(this.#name)} is no name of a credential helper`);
    const program = `docker-credential-${this.#name}`;
    if (Bun.which(program) === null)
      throw new Error(`${program}, which docker's configuration names, is not on the PATH`);
    const child = Bun.spawn([program, verb], {
      stdin: Buffer.from(input),
      stdout: "pipe",
      // It may ask its user for something.
      stderr: "inherit",
    });
    const [text, code] = await Promise.all([child.stdout.text(), child.exited]);
    return { code, text };
  }
}
