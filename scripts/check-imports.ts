/**
 * Checks the direction of imports: the table of what each folder may import, the order of folders within one, no
 * cycles, and system calls and processes only in src/host; and that no schema loses members by their names. Run by
 * `npm test`; `ARCHITECTURE.md` explains the table.
 */
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dir, "..");

const below = {
  walls: ["contract", "host", "wall", "wall/oci"],
  engine: ["contract", "host", "image", "wall", "network", "volume"],
} as const;

/** What the files of a folder may import, besides files of the same folder. The longest matching folder counts. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  sdk: ["contract"],
  cli: ["contract", "sdk"],
  host: ["contract"],
  image: ["contract", "host"],
  wall: ["contract", "host"],
  "wall/oci": ["contract", "host", "wall"],
  "wall/container": below.walls,
  "wall/vm": below.walls,
  network: ["contract", "host"],
  volume: ["contract", "host"],
  engine: below.engine,
  api: ["engine", ...below.engine],
  "api/docker": ["api", "engine", ...below.engine],
  "api/hull": ["api", "engine", ...below.engine],
  "api/cri": ["api", "engine", ...below.engine],
  compare: ["contract", "host", "sdk"],
  daemon: [
    ...["api", "api/docker", "api/hull", "api/cri", "engine", ...below.engine],
    ...["wall/oci", "wall/container", "wall/vm"],
  ],
};

/**
 * Folders within a folder, from the lowest up: a file imports from its own and from those before it. What is in none of
 * them is above them all. Tests see everything.
 */
const storeys: Readonly<Record<string, readonly string[]>> = {
  network: [
    ...["records", "addresses", "dns", "egress", "firewall", "links", "ports"],
    ...["networks", "policy", "workloads"],
  ],
};

/** The one program is client and daemon: these verbs load their part when they are called, never before. */
const dynamicExceptions = new Set([
  "src/cli/daemon.ts > src/daemon/main.ts",
  "src/cli/compare.ts > src/compare/main.ts",
  "src/cli/convert-layers.ts > src/image/layer/worker.ts",
  "src/cli/copy/unpack.ts > src/image/tar/parser.ts",
]);

/** They start the daemon, which is the same program, and docker's credential helpers; the client loads nothing of src/host. */
const processExceptions = new Set(["src/cli/start-daemon.ts", "src/cli/credentials/helper.ts"]);

interface Import {
  readonly from: string;
  readonly to: string;
  readonly dynamic: boolean;
}

const problems: string[] = [];
const imports: Import[] = [];
for (const file of [...new Bun.Glob("src/**/*.ts").scanSync(root)].sort()) {
  const source = readFileSync(join(root, file), "utf8");
  imports.push(...importsOf(file, source));
  if (!file.startsWith("src/host/") && !isTest(file)) checkSystemUse(file, source);
  if (/\bv\.(record|objectWithRest)\(/.test(source))
    problems.push(
      `${file} has a map of valibot's, which leaves out "constructor": use src/contract/dictionary.ts`,
    );
}
for (const each of imports) checkDirection(each);
for (const cycle of cyclesOf(imports)) problems.push(`import cycle: ${cycle.join(" > ")}`);

for (const problem of problems) console.error(problem);
console.log(
  problems.length === 0
    ? `imports: ${imports.length} follow the table`
    : `imports: ${problems.length} problems`,
);
process.exit(problems.length === 0 ? 0 : 1);

function importsOf(file: string, source: string): Import[] {
  const statement = /^(?:import|export)\b[^;"'`]*?\bfrom\s+["']([^"']+)["']|^import\s+["']([^"']+)["']/gm;
  const call = /\bimport\(\s*["']([^"']+)["']/g;
  const found: Import[] = [];
  for (const [pattern, dynamic] of [
    [statement, false],
    [call, true],
  ] as const) {
    for (const match of source.matchAll(pattern)) {
      const target = match[1] ?? match[2] ?? "";
      if (!target.startsWith(".")) continue;
      found.push({ from: file, to: relative(root, join(root, dirname(file), target)), dynamic });
    }
  }
  return found;
}

function checkDirection({ from, to, dynamic }: Import): void {
  if (to.startsWith("test/") && isTest(from)) return;
  if (dynamic && dynamicExceptions.has(`${from} > ${to}`)) return;
  if (to === "package.json") return;
  const fromFolder = folderOf(from);
  const toFolder = folderOf(to);
  if (fromFolder === undefined) problems.push(`${from}: its folder is not in the table`);
  else if (toFolder === undefined) problems.push(`${from} imports ${to}, which is in no folder of the table`);
  else if (fromFolder !== toFolder && !allowed[fromFolder]?.includes(toFolder))
    problems.push(`${from} imports ${to}: ${fromFolder} may not import ${toFolder}`);
  else if (fromFolder === toFolder && !isTest(from) && storeyOf(from, fromFolder) < storeyOf(to, toFolder))
    problems.push(`${from} imports ${to}, which is above it`);
}

function storeyOf(file: string, folder: string): number {
  const [inner = ""] = file.slice(`src/${folder}/`.length).split("/");
  const storey = storeys[folder]?.indexOf(inner) ?? 0;
  return storey >= 0 ? storey : Number.POSITIVE_INFINITY;
}

function folderOf(file: string): string | undefined {
  let folder = dirname(file).replace(/^src\//, "");
  while (folder !== "." && !Object.hasOwn(allowed, folder)) folder = dirname(folder);
  return folder === "." || !file.startsWith("src/") ? undefined : folder;
}

function checkSystemUse(file: string, source: string): void {
  const uses = /["']bun:ffi["']|["'](?:node:)?child_process["']|\bBun\.(?:spawn|spawnSync|\$)/.exec(source);
  if (uses !== null && !processExceptions.has(file))
    problems.push(`${file} uses ${uses[0]}: only src/host starts processes and calls into libc`);
}

function isTest(file: string): boolean {
  return file.endsWith(".test.ts") || file.endsWith("conformance.ts");
}

/** Depth-first search; each cycle is reported once, from the file where it was closed. */
function cyclesOf(edges: readonly Import[]): string[][] {
  const next = new Map<string, string[]>();
  for (const { from, to, dynamic } of edges) {
    if (dynamic && dynamicExceptions.has(`${from} > ${to}`)) continue;
    next.set(from, [...(next.get(from) ?? []), to]);
  }
  const done = new Set<string>();
  const found: string[][] = [];
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) found.push([...path.slice(start), file]);
    if (start >= 0 || done.has(file)) return;
    for (const target of next.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of next.keys()) visit(file, []);
  return found;
}
