/**
 * A git repository as a context: the tree of one commit, as the tar that `git archive` makes of it. Nothing is checked
 * out, so names in the repository lead nowhere.
 */
import { HullError } from "../../contract/errors.ts";
import { FilterFailure, filterThrough } from "../../host/filter-process.ts";
import { run } from "../../host/spawn.ts";
import type { ProxySettings } from "../../image/registry/proxy.ts";

interface Repository {
  readonly url: string;
  /** Branch, tag or commit. */
  readonly ref: string;
  /** Directory that is the context; empty: all of it. */
  readonly directory: string;
}

/** `URL#ref:directory`; undefined for what is no git URL. Docker's rule: it ends in .git, or its scheme says so. */
export function parseGitUrl(text: string): Repository | undefined {
  const [address = "", fragment = ""] = text.split(/#(.*)/s);
  const looksSo =
    /^https?:\/\/.*\.git$/.test(address) || /^(?:git:\/\/|ssh:\/\/|git@|github\.com\/)/.test(address);
  if (!looksSo) return undefined;
  const url = address.startsWith("github.com/") ? `https://${address}` : address;
  const [ref = "", directory = ""] = fragment.split(/:(.*)/s);
  const wrong = ref.startsWith("-") || /[\0\s]/.test(text) || directory.split("/").includes("..");
  if (wrong)
    throw new HullError("invalidParameter", { what: "git URL", value: text, why: "write URL#ref:directory" });
  return { url, ref: ref === "" ? "HEAD" : ref, directory: directory.replace(/^\/+|\/+$/g, "") };
}

/** Only what reaches another host; `ext::` would run a program here. Who sends next to nothing is given up. */
const settings = [
  ...["-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60"],
  ...["never", "https.allow=always", "http.allow=always", "git.allow=always", "ssh.allow=always"].flatMap(
    (setting) => ["-c", `protocol.${setting === "never" ? "allow=never" : setting}`],
  ),
];
const environment = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C",
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_TERMINAL_PROMPT: "0",
  GIT_SSH_COMMAND: "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15",
};

export interface GitOptions {
  /** An empty directory of the caller's. */
  readonly scratch: string;
  readonly proxies: ProxySettings;
  readonly signal: AbortSignal;
}

export async function* gitArchive(repository: Repository, options: GitOptions): AsyncGenerator<Uint8Array> {
  const { url, ref, directory } = repository;
  const { scratch } = options;
  const git = (args: readonly string[]) =>
    run(["git", ...settings, ...args], {
      env: { ...environment, ...proxyVariables(options.proxies) },
      signal: options.signal,
    });
  const must = async (args: readonly string[]): Promise<void> => {
    const { code, stderr } = await git(args);
    if (code !== 0) throw failed(repository, stderr);
  };
  await must(["init", "--quiet", "--bare", scratch]);
  const fetch = ["-C", scratch, "fetch", "--quiet", "--no-tags"];
  const shallow = await git([...fetch, "--depth=1", "--", url, ref]);
  let commit = "FETCH_HEAD";
  if (shallow.code !== 0) {
    // Old servers neither cut histories nor give single commits.
    const plain = await git([...fetch, "--", url, ref]);
    if (plain.code !== 0) {
      if (!/^[0-9a-f]{7,64}$/.test(ref)) throw failed(repository, plain.stderr);
      await must([...fetch, "--", url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]);
      commit = ref;
    }
  }
  const tree = directory === "" ? `${commit}^{tree}` : `${commit}:${directory}`;
  try {
    yield* filterThrough(["git", "-C", scratch, "archive", "--format=tar", tree], nothing());
  } catch (error) {
    if (error instanceof FilterFailure) throw failed(repository, error.message);
    throw error;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** As for everything else, this machine needs no proxy. */
function proxyVariables({ http, https, except }: ProxySettings): Record<string, string> {
  const none = [except, "localhost", "127.0.0.1", "::1"].filter((word) => word !== "").join(",");
  const named = Object.entries({ http_proxy: http, https_proxy: https, no_proxy: none });
  return Object.fromEntries(named.filter(([, value]) => value !== ""));
}

function failed({ url }: Repository, why: string): HullError {
  return new HullError("download", {
    url,
    why: why
      .trim()
      .replaceAll(/\s*\n\s*/g, "; ")
      .slice(0, 500),
  });
}
