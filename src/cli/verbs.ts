/** Every verb, and where its file is: only the one that is called is loaded. */
import type { Verb } from "./verb.ts";

interface VerbEntry {
  readonly summary: string;
  readonly load: () => Promise<{ readonly default: Verb }>;
  /** For the daemon: no help lists it. */
  readonly internal?: true;
}

export const verbs: Readonly<Record<string, VerbEntry>> = {
  run: { summary: "Create and run a workload from an image", load: () => import("./run.ts") },
  exec: { summary: "Run a command in a running workload", load: () => import("./exec.ts") },
  ps: { summary: "List workloads", load: () => import("./ps.ts") },
  create: { summary: "Create a workload", load: () => import("./create.ts") },
  start: { summary: "Start stopped workloads", load: () => import("./start.ts") },
  stop: { summary: "Stop running workloads", load: () => import("./stop.ts") },
  restart: { summary: "Restart workloads", load: () => import("./restart.ts") },
  kill: { summary: "Kill running workloads", load: () => import("./kill.ts") },
  wait: { summary: "Wait until workloads stop, print their exit codes", load: () => import("./wait.ts") },
  rm: { summary: "Remove workloads", load: () => import("./rm.ts") },
  attach: { summary: "Connect the terminal to a running workload", load: () => import("./attach.ts") },
  logs: { summary: "Show what a workload wrote", load: () => import("./logs.ts") },
  inspect: { summary: "Show all that is known of workloads or images", load: () => import("./inspect.ts") },
  top: { summary: "List the processes of a workload", load: () => import("./top.ts") },
  stats: { summary: "Show live resource usage", load: () => import("./stats.ts") },
  pause: { summary: "Pause all processes of workloads", load: () => import("./pause.ts") },
  unpause: { summary: "Unpause workloads", load: () => import("./unpause.ts") },
  suspend: { summary: "Save virtual machines' memory and end them", load: () => import("./suspend.ts") },
  resume: { summary: "Make suspended workloads go on", load: () => import("./resume.ts") },
  fork: { summary: "Make running siblings of a virtual machine", load: () => import("./fork.ts") },
  rename: { summary: "Rename a workload", load: () => import("./rename.ts") },
  cp: { summary: "Copy files between a workload and this machine", load: () => import("./cp.ts") },
  diff: { summary: "List what a workload changed in its image's files", load: () => import("./diff.ts") },
  export: { summary: "Write a workload's root file system as a tar", load: () => import("./export.ts") },
  commit: { summary: "Make an image of a workload", load: () => import("./commit.ts") },
  build: { summary: "Build an image of a Dockerfile", load: () => import("./build.ts") },
  "builder-prune": {
    summary: "Forget what earlier builds left for later ones",
    load: () => import("./builder-prune.ts"),
  },
  images: { summary: "List images", load: () => import("./images.ts") },
  pull: { summary: "Download an image from a registry", load: () => import("./pull.ts") },
  push: { summary: "Upload an image to a registry", load: () => import("./push.ts") },
  login: { summary: "Log in to a registry", load: () => import("./login.ts") },
  logout: { summary: "Forget the credentials for a registry", load: () => import("./logout.ts") },
  search: { summary: "Say why registries cannot be searched", load: () => import("./search.ts") },
  import: { summary: "Make an image of a root file system's tar", load: () => import("./import.ts") },
  save: { summary: "Write images into an archive", load: () => import("./save.ts") },
  "image-verify": {
    summary: "Check all that images keep on the disk, and mend it",
    load: () => import("./image-verify.ts"),
  },
  "image-prune": { summary: "Remove images of no use", load: () => import("./image-prune.ts") },
  "container-prune": {
    summary: "Remove workloads that do not run",
    load: () => import("./container-prune.ts"),
  },
  "system-prune": { summary: "Remove all that is of no use", load: () => import("./system-prune.ts") },
  load: { summary: "Load images from an archive", load: () => import("./load.ts") },
  tag: { summary: "Give an image one more name", load: () => import("./tag.ts") },
  rmi: { summary: "Remove images", load: () => import("./rmi.ts") },
  history: { summary: "Show the history of an image", load: () => import("./history.ts") },
  events: { summary: "Show what happens, as it happens", load: () => import("./events.ts") },
  info: { summary: "Show the state of the daemon and its host", load: () => import("./info.ts") },
  df: { summary: "Show what takes disk space", load: () => import("./df.ts") },
  version: { summary: "Show versions", load: () => import("./version.ts") },
  "template-build": {
    summary: "Make a template of virtual machines ahead",
    load: () => import("./template-build.ts"),
  },
  "template-ls": { summary: "List templates of virtual machines", load: () => import("./template-ls.ts") },
  "template-rm": { summary: "Remove templates", load: () => import("./template-rm.ts") },
  "template-prune": { summary: "Remove templates of no use", load: () => import("./template-prune.ts") },
  port: { summary: "Show where ports are published", load: () => import("./port.ts") },
  update: { summary: "Change workloads, also while they run", load: () => import("./update.ts") },
  "network-create": { summary: "Make a network", load: () => import("./network-create.ts") },
  "network-ls": { summary: "List networks", load: () => import("./network-ls.ts") },
  "network-inspect": {
    summary: "Show all that is known of networks",
    load: () => import("./network-inspect.ts"),
  },
  "network-connect": {
    summary: "Connect a workload to a network",
    load: () => import("./network-connect.ts"),
  },
  "network-disconnect": {
    summary: "Disconnect a workload from a network",
    load: () => import("./network-disconnect.ts"),
  },
  "network-rm": { summary: "Remove networks", load: () => import("./network-rm.ts") },
  "network-prune": { summary: "Remove networks that nobody uses", load: () => import("./network-prune.ts") },
  "volume-create": { summary: "Make a volume", load: () => import("./volume-create.ts") },
  "volume-ls": { summary: "List volumes", load: () => import("./volume-ls.ts") },
  "volume-inspect": {
    summary: "Show all that is known of volumes",
    load: () => import("./volume-inspect.ts"),
  },
  "volume-rm": { summary: "Remove volumes", load: () => import("./volume-rm.ts") },
  "volume-prune": { summary: "Remove volumes of no use", load: () => import("./volume-prune.ts") },
  doctor: { summary: "Check all that Hull needs of this host", load: () => import("./doctor.ts") },
  compare: { summary: "Measure what each wall costs on this host", load: () => import("./compare.ts") },
  daemon: { summary: "Run the daemon in the foreground", load: () => import("./daemon.ts") },
  "convert-layers": {
    summary: "Convert layers for the daemon",
    load: () => import("./convert-layers.ts"),
    internal: true,
  },
};

/** Docker's names in two words, and the flags they imply. */
const twoWords: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  container: {
    ...same(
      "attach commit cp create diff exec export fork inspect kill logs pause port rename restart resume rm run start stats stop suspend top unpause update wait",
    ),
    inspect: ["inspect", "--type=container"],
    ls: ["ps"],
    list: ["ps"],
    ps: ["ps"],
    prune: ["container-prune"],
    remove: ["rm"],
  },
  image: {
    build: ["build"],
    ...same("history import load save pull push tag"),
    inspect: ["inspect", "--type=image"],
    ls: ["images"],
    list: ["images"],
    rm: ["rmi"],
    remove: ["rmi"],
    prune: ["image-prune"],
    verify: ["image-verify"],
  },
  builder: { build: ["build"], prune: ["builder-prune"] },
  system: { ...same("info events df"), prune: ["system-prune"] },
  network: {
    connect: ["network-connect"],
    create: ["network-create"],
    disconnect: ["network-disconnect"],
    inspect: ["network-inspect"],
    list: ["network-ls"],
    ls: ["network-ls"],
    prune: ["network-prune"],
    remove: ["network-rm"],
    rm: ["network-rm"],
  },
  template: {
    build: ["template-build"],
    list: ["template-ls"],
    ls: ["template-ls"],
    prune: ["template-prune"],
    remove: ["template-rm"],
    rm: ["template-rm"],
  },
  volume: {
    create: ["volume-create"],
    inspect: ["volume-inspect"],
    list: ["volume-ls"],
    ls: ["volume-ls"],
    prune: ["volume-prune"],
    remove: ["volume-rm"],
    rm: ["volume-rm"],
  },
};

function same(names: string): Record<string, readonly string[]> {
  return Object.fromEntries(names.split(" ").map((name) => [name, [name]]));
}

export const groups: readonly string[] = Object.keys(twoWords);

/** The verb that the words ask for and what is left of them; undefined when there is none. */
export function resolveVerb(words: readonly string[]): { name: string; argv: readonly string[] } | undefined {
  const [first = "", second = ""] = words;
  if (Object.hasOwn(verbs, first)) return { name: first, argv: words.slice(1) };
  const group = Object.hasOwn(twoWords, first) ? twoWords[first] : undefined;
  const target = group !== undefined && Object.hasOwn(group, second) ? group[second] : undefined;
  if (target === undefined) return undefined;
  const [name = "", ...implied] = target;
  return { name, argv: [...implied, ...words.slice(2)] };
}
