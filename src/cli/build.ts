import { writeFileSync } from "node:fs";
import { ApiError, type BuildOptions } from "../sdk/main.ts";
import { BuildPrinter } from "./build/printer.ts";
import { buildSource } from "./build/source.ts";
import { Credentials } from "./credentials/credentials.ts";
import { type Flags, list, type Options, text, toggle, UsageError } from "./parse/options.ts";
import { bytesOf, integerOf, labelsOf, nanoCpusOf } from "./parse/values.ts";
import { complaint } from "./print/visible.ts";
import { defineVerb } from "./verb.ts";

const flags = {
  "add-host": list("HOST:IP", "Add a name to the hosts file of commands"),
  "build-arg": list("NAME=VALUE", "Set an argument of the build; NAME alone passes the client's variable on"),
  "cache-from": list("IMAGE", "Take steps from the history of these images, too"),
  "cgroup-parent": text("PATH", "Control group for commands"),
  "cpu-period": text("MICROSECONDS", "Period of the CPU limit"),
  "cpu-quota": text("MICROSECONDS", "CPU time in each period"),
  "cpu-shares": text("NUMBER", "Relative weight of CPU time", "c"),
  cpus: text("NUMBER", "Number of CPUs for commands, such as 1.5"),
  "cpuset-cpus": text("LIST", "CPUs that commands may use"),
  "cpuset-mems": text("LIST", "Memory nodes that commands may use"),
  file: text("PATH", "The Dockerfile; - for standard input (default PATH/Dockerfile)", "f"),
  "force-rm": toggle("Remove workloads of commands that failed, too"),
  iidfile: text("FILE", "Write the image's id to a file"),
  isolation: text("WALL", "The wall that commands run behind: container or vm"),
  label: list("NAME=VALUE", "Set a label of the image"),
  memory: text("BYTES", "Memory limit of commands, such as 512m; a virtual machine's size", "m"),
  "memory-swap": text("BYTES", "Limit of memory and swap together"),
  network: text("MODE", "Network of commands: default, none, host or a network's name"),
  "no-cache": toggle("Do every step anew"),
  platform: text("OS/ARCH", "Platform of the image"),
  pull: toggle("Pull images although they are here"),
  quiet: toggle("Print nothing but the image's id", "q"),
  rm: toggle("Remove workloads of commands that succeeded", undefined, true),
  "security-opt": list("OPTION", "Security options of commands"),
  "shm-size": text("BYTES", "Size of /dev/shm of commands"),
  squash: toggle("Make one layer of all"),
  tag: list("NAME[:TAG]", "Name of the image", "t"),
  target: text("STAGE", "Build up to this stage"),
  ulimit: list("NAME=SOFT[:HARD]", "Limits of the processes of commands"),
} as const satisfies Flags;

export default defineVerb({
  usage: "build [OPTIONS] PATH|URL|-",
  summary: "Builds an image of a Dockerfile and the files beside it.",
  details:
    "RUN steps run behind the wall that --isolation asks for: with vm, a Dockerfile that is not trusted runs in\n" +
    "virtual machines. A failed command's exit code becomes the exit code of the build.",
  flags,
  arguments: [1, 1],
  async action(context, { options, args: [word = ""] }) {
    const request = requestOf(options);
    const source = await buildSource(word, options.file);
    const hull = await context.hull();
    const printer = new BuildPrinter(context.stdout, options.quiet);
    let id = "";
    try {
      const auths = await new Credentials().all();
      const lines = hull.builder.build(source.context, { ...request, auths, dockerfile: source.dockerfile });
      for await (const line of lines) {
        if (typeof line.aux?.ID === "string") id = line.aux.ID;
        if (options.quiet && line.stream !== undefined) id = line.stream.trim();
        await printer.show(line);
      }
    } catch (error) {
      // The status of a command that failed is its exit code.
      if (!(error instanceof ApiError) || error.status > 255) throw error;
      await context.stderr.line(complaint(error));
      return error.status;
    }
    if (options.iidfile !== undefined) writeFileSync(options.iidfile, id);
    return 0;
  },
});

function requestOf(options: Options<typeof flags>): BuildOptions {
  return {
    tags: options.tag,
    buildArgs: buildArgumentsOf(options["build-arg"]),
    labels: labelsOf(options.label),
    target: options.target,
    noCache: options["no-cache"],
    pull: options.pull,
    cacheFrom: options["cache-from"].length === 0 ? undefined : options["cache-from"],
    remove: options.rm,
    forceRemove: options["force-rm"],
    quiet: options.quiet,
    squash: options.squash,
    isolation: options.isolation,
    networkMode: options.network,
    platform: options.platform,
    extraHosts: options["add-host"],
    memory: bytes("--memory", options.memory),
    memorySwap: options["memory-swap"] === "-1" ? -1 : bytes("--memory-swap", options["memory-swap"]),
    shmSize: bytes("--shm-size", options["shm-size"]),
    cpuPeriod: integer("--cpu-period", options["cpu-period"]),
    cpuQuota: quotaOf(options),
    cpuShares: integer("--cpu-shares", options["cpu-shares"]),
    cpusetCpus: options["cpuset-cpus"],
    cpusetMems: options["cpuset-mems"],
    cgroupParent: options["cgroup-parent"],
    securityOpt: options["security-opt"].length === 0 ? undefined : options["security-opt"],
    ulimits: options.ulimit.length === 0 ? undefined : options.ulimit.map(ulimitOf),
  };
}

/** The API has no word for a number of CPUs in a build: the same as time in a period of 100 ms. */
function quotaOf(options: Options<typeof flags>): number | undefined {
  if (options.cpus === undefined) return integer("--cpu-quota", options["cpu-quota"]);
  if (options["cpu-quota"] !== undefined || options["cpu-period"] !== undefined)
    throw new UsageError("--cpus and --cpu-quota or --cpu-period exclude each other");
  return Math.round(nanoCpusOf("--cpus", options.cpus) / 1e4);
}

function buildArgumentsOf(words: readonly string[]): Record<string, string | undefined> {
  return Object.fromEntries(
    words.map((word): [string, string | undefined] => {
      const equals = word.indexOf("=");
      if (word === "" || equals === 0)
        throw new UsageError(`invalid argument "${word}" for --build-arg: write NAME=VALUE`);
      return equals < 0 ? [word, process.env[word]] : [word.slice(0, equals), word.slice(equals + 1)];
    }),
  );
}

function ulimitOf(word: string): { Name: string; Soft: number; Hard: number } {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(word);
  if (match === null)
    throw new UsageError(
      `invalid argument "${word}" for --ulimit: write NAME=SOFT[:HARD], such as nofile=1024:2048`,
    );
  const soft = Number(match[2]);
  return { Name: match[1] ?? "", Soft: soft, Hard: match[3] === undefined ? soft : Number(match[3]) };
}

function bytes(flag: string, value: string | undefined): number | undefined {
  return value === undefined ? undefined : bytesOf(flag, value);
}

function integer(flag: string, value: string | undefined): number | undefined {
  return value === undefined ? undefined : integerOf(flag, value);
}
