/**
 * The part of Go's templates that `--format` is used with: field paths, `json`, `index`, `len`, `join`, `split`,
 * `upper`, `lower`, `title`, `println`, `printf "%s"`-like, comparisons, `if`/`else`, `range`, variables, pipes,
 * and `{{-` trimming. What is outside of it is refused by name, never printed wrong.
 */
import { UsageError } from "../parse/options.ts";
import { callFunction, goString, isTrue } from "./template-functions.ts";

export type Scope = Readonly<Record<string, unknown>>;

export function renderTemplate(template: string, dot: unknown): string {
  const parser = new Parser(tokensOf(template));
  const nodes = parser.block();
  if (parser.stopped !== undefined) throw bad(`unexpected {{${parser.stopped}}}`);
  return renderNodes(nodes, { dot, variables: new Map([["$", dot]]) });
}

function bad(why: string): UsageError {
  return new UsageError(`--format: ${why}`);
}

// --- Template text into tokens

type Token = { readonly text: string } | { readonly action: string };

function tokensOf(template: string): Token[] {
  const tokens: Token[] = [];
  let rest = template;
  for (;;) {
    const start = rest.indexOf("{{");
    if (start < 0) break;
    const end = endOfAction(rest, start + 2);
    let text = rest.slice(0, start);
    let action = rest.slice(start + 2, end);
    rest = rest.slice(end + 2);
    if (/^-\s/.test(action)) {
      action = action.slice(1);
      text = text.trimEnd();
    }
    if (/\s-$/.test(action)) {
      action = action.slice(0, -1);
      rest = rest.trimStart();
    }
    if (text !== "") tokens.push({ text });
    if (!/^\s*\/\*/.test(action)) tokens.push({ action: action.trim() });
  }
  if (rest !== "") tokens.push({ text: rest });
  return tokens;
}

/** Where `}}` is, not counting those within quotes. */
function endOfAction(template: string, from: number): number {
  let quote = "";
  for (let index = from; index < template.length; index += 1) {
    const character = template.charAt(index);
    if (quote !== "") {
      if (character === "\\" && quote === '"') index += 1;
      else if (character === quote) quote = "";
    } else if (character === '"' || character === "`") quote = character;
    else if (template.startsWith("}}", index)) return index;
  }
  throw bad(`unclosed action in ${JSON.stringify(template)}`);
}

// --- Tokens into a tree

type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly pipe: Pipe }
  | { readonly kind: "set"; readonly variable: string; readonly pipe: Pipe }
  | {
      readonly kind: "if";
      readonly pipe: Pipe;
      readonly then: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | {
      readonly kind: "range" | "with";
      readonly variables: readonly string[];
      readonly pipe: Pipe;
      readonly then: readonly Node[];
      readonly otherwise: readonly Node[];
    };

/** Commands; the value of each is the last argument of the next. */
type Pipe = readonly Command[];
type Command = readonly Operand[];
type Operand =
  | { readonly kind: "literal"; readonly value: unknown }
  | { readonly kind: "path"; readonly variable: string | undefined; readonly fields: readonly string[] }
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "group"; readonly pipe: Pipe; readonly fields: readonly string[] };

class Parser {
  readonly #tokens: readonly Token[];
  #position = 0;
  /** The `end` or `else…` that ended the last block. */
  stopped: string | undefined;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  block(): Node[] {
    const nodes: Node[] = [];
    for (let token = this.#next(); token !== undefined; token = this.#next()) {
      if ("text" in token) {
        nodes.push({ kind: "text", text: token.text });
        continue;
      }
      if (/^(end|else)\b/.test(token.action)) {
        this.stopped = token.action;
        return nodes;
      }
      nodes.push(this.#node(token.action));
    }
    this.stopped = undefined;
    return nodes;
  }

  #next(): Token | undefined {
    const token = this.#tokens[this.#position];
    this.#position += 1;
    return token;
  }

  #node(action: string): Node {
    const keyword = /^(if|range|with|template|define|block|break|continue)\b\s*/.exec(action);
    if (keyword === null) {
      const assignment = /^(\$\w+)\s*:?=\s*/.exec(action);
      if (assignment === null) return { kind: "print", pipe: parsePipe(action) };
      return {
        kind: "set",
        variable: assignment[1] ?? "",
        pipe: parsePipe(action.slice(assignment[0].length)),
      };
    }
    const [whole, word] = keyword;
    const rest = action.slice(whole.length);
    if (word === "if") return this.#condition(rest);
    if (word !== "range" && word !== "with") throw bad(`{{${word}}} is not supported`);
    const names = /^(\$\w+)(?:\s*,\s*(\$\w+))?\s*:=\s*/.exec(rest);
    const pipe = parsePipe(names === null ? rest : rest.slice(names[0].length));
    const variables = names === null ? [] : names.slice(1).filter((name) => name !== undefined);
    const { then, otherwise } = this.#branches(action);
    return { kind: word, variables, pipe, then, otherwise };
  }

  #condition(source: string): Node {
    const pipe = parsePipe(source);
    return { kind: "if", pipe, ...this.#branches(`if ${source}`) };
  }

  #branches(action: string): { then: Node[]; otherwise: Node[] } {
    const then = this.block();
    const stop = this.stopped;
    if (stop === "end") return { then, otherwise: [] };
    const elseIf = stop === undefined ? null : /^else\s+if\s+(.*)$/s.exec(stop);
    // `else if` shares its `end` with the `if` it belongs to.
    if (elseIf !== null) return { then, otherwise: [this.#condition(elseIf[1] ?? "")] };
    if (stop === "else") {
      const otherwise = this.block();
      if (this.stopped === "end") return { then, otherwise };
    }
    throw bad(`{{${action}}} has no {{end}}`);
  }
}

function parsePipe(source: string): Pipe {
  const words = wordsOf(source);
  const { pipe, used } = pipeOfWords(words, 0);
  if (used < words.length) throw bad(`unexpected ${words[used] ?? ""} in {{${source}}}`);
  return pipe;
}

function wordsOf(source: string): string[] {
  const words: string[] = [];
  const pattern = /\s*("(?:[^"\\]|\\.)*"|`[^`]*`|[()|]|\$?[\w.$]+|-?\d+(?:\.\d+)?|\S)/gy;
  for (let match = pattern.exec(source); match !== null; match = pattern.exec(source))
    words.push(match[1] ?? "");
  return words;
}

function pipeOfWords(words: readonly string[], from: number): { pipe: Pipe; used: number } {
  const pipe: Operand[][] = [[]];
  let index = from;
  for (; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (word === ")") break;
    if (word === "|") {
      pipe.push([]);
      continue;
    }
    if (word !== "(") {
      pipe.at(-1)?.push(operandOf(word));
      continue;
    }
    const group = pipeOfWords(words, index + 1);
    if (words[group.used] !== ")") throw bad("a parenthesis is not closed");
    index = group.used;
    const after = words[index + 1];
    const fields = after !== undefined && /^\.\w/.test(after) ? after.slice(1).split(".") : [];
    if (fields.length > 0) index += 1;
    pipe.at(-1)?.push({ kind: "group", pipe: group.pipe, fields });
  }
  if (pipe.some((command) => command.length === 0)) throw bad("an action or a part of a pipe is empty");
  return { pipe, used: index };
}

function operandOf(word: string): Operand {
  if (word.startsWith('"')) return { kind: "literal", value: stringOf(word) };
  if (word.startsWith("`")) return { kind: "literal", value: word.slice(1, -1) };
  if (/^-?\d/.test(word)) return { kind: "literal", value: Number(word) };
  if (word === "true" || word === "false") return { kind: "literal", value: word === "true" };
  if (word === "nil") return { kind: "literal", value: null };
  const path = /^(\$\w*)?((?:\.\w+)*|\.)$/.exec(word);
  if (path !== null) {
    const fields = (path[2] ?? "").split(".").filter((field) => field !== "");
    return { kind: "path", variable: path[1], fields };
  }
  if (/^[a-zA-Z]\w*$/.test(word)) return { kind: "function", name: word };
  throw bad(`${word} is not understood`);
}

function stringOf(word: string): string {
  try {
    return String(JSON.parse(word));
  } catch {
    throw bad(`${word} is not a string`);
  }
}

// --- The tree into text

interface Frame {
  readonly dot: unknown;
  readonly variables: Map<string, unknown>;
}

function renderNodes(nodes: readonly Node[], frame: Frame): string {
  return nodes.map((node) => renderNode(node, frame)).join("");
}

function renderNode(node: Node, frame: Frame): string {
  if (node.kind === "text") return node.text;
  const value = evaluatePipe(node.pipe, frame);
  switch (node.kind) {
    case "print":
      return goString(value);
    case "set":
      frame.variables.set(node.variable, value);
      return "";
    case "if":
      return renderNodes(isTrue(value) ? node.then : node.otherwise, frame);
    case "with":
      if (!isTrue(value)) return renderNodes(node.otherwise, frame);
      return renderNodes(node.then, frameOf(frame, node.variables, undefined, value));
    case "range": {
      const entries = entriesOf(value);
      if (entries.length === 0) return renderNodes(node.otherwise, frame);
      return entries
        .map(([key, item]) => renderNodes(node.then, frameOf(frame, node.variables, key, item)))
        .join("");
    }
  }
}

function frameOf(frame: Frame, names: readonly string[], key: unknown, value: unknown): Frame {
  const variables = new Map(frame.variables);
  const [first, second] = names;
  if (first !== undefined) variables.set(first, second === undefined ? value : key);
  if (second !== undefined) variables.set(second, value);
  return { dot: value, variables };
}

function entriesOf(value: unknown): [unknown, unknown][] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return [...value.entries()];
  if (typeof value === "object") return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  throw bad(`range cannot go over ${goString(value)}`);
}

function evaluatePipe(pipe: Pipe, frame: Frame): unknown {
  let value: unknown;
  for (const [index, command] of pipe.entries())
    value = evaluateCommand(command, frame, index === 0 ? [] : [value]);
  return value;
}

function evaluateCommand(command: Command, frame: Frame, piped: readonly unknown[]): unknown {
  const [first, ...rest] = command;
  if (first === undefined) return undefined;
  const args = [...rest.map((operand) => evaluateOperand(operand, frame)), ...piped];
  if (first.kind === "function") return callFunction(first.name, args);
  const value = evaluateOperand(first, frame);
  // A method of a row, such as `.Label "name"`.
  if (typeof value === "function") return value(...args);
  if (args.length > 0) throw bad("a value was given arguments: only functions take them");
  return value;
}

function evaluateOperand(operand: Operand, frame: Frame): unknown {
  switch (operand.kind) {
    case "literal":
      return operand.value;
    case "function":
      return callFunction(operand.name, []);
    case "group":
      return operand.fields.reduce(fieldOf, evaluatePipe(operand.pipe, frame));
    case "path": {
      const { variable } = operand;
      if (variable !== undefined && !frame.variables.has(variable)) throw bad(`${variable} is not defined`);
      const start = variable === undefined ? frame.dot : frame.variables.get(variable);
      return operand.fields.reduce(fieldOf, start);
    }
  }
}

function fieldOf(value: unknown, field: string): unknown {
  if (typeof value === "object" && value !== null && Object.hasOwn(value, field))
    return (value as Scope)[field];
  if (value === null || value === undefined) return undefined;
  const names = typeof value === "object" && !Array.isArray(value) ? Object.keys(value).join(", ") : "none";
  throw bad(`there is no field .${field}; there are: ${names}`);
}
