/** The rules of Dockerfiles, held against what the reference and BuildKit's own tests say. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a Dockerfile
import { describe, expect, test } from "bun:test";
import { isHullError } from "../../../contract/errors.ts";
import { duration } from "./duration.ts";
import type { Instruction } from "./instruction.ts";
import { readDockerfile } from "./lines.ts";
import { parseDockerfile } from "./parse.ts";
import { planStages } from "./stages.ts";
import { expandWord, expandWords } from "./words.ts";

function rests(text: string): string[] {
  return readDockerfile(text).instructions.map(({ name, rest }) => `${name} ${rest}`);
}

function parsed(text: string): readonly Instruction[] {
  return parseDockerfile(text).instructions;
}

function failure(text: string): string {
  try {
    parseDockerfile(text);
  } catch (error) {
    if (isHullError(error)) return error.message;
    throw error;
  }
  return "";
}

describe("lines", () => {
  test("continued lines are joined; comments and empty lines between them are left out", () => {
    expect(rests("FROM x\nRUN echo a \\\n  # comment\n\n  && echo b \\  \n && echo c\nCMD d")).toEqual([
      "FROM x",
      "RUN echo a   && echo b  && echo c",
      "CMD d",
    ]);
  });

  test("an escaped escape at the end of a line continues nothing", () => {
    expect(rests("RUN echo a\\\\\nCMD b")).toEqual(["RUN echo a\\\\", "CMD b"]);
  });

  test("carriage returns, a byte order mark and lower case make no difference", () => {
    expect(rests("\ufefffrom x\r\nrun a \\\r\n b\r\n")).toEqual(["FROM x", "RUN a  b"]);
  });

  test("the escape directive replaces the backslash, and counts in the first lines only", () => {
    expect(rests("# syntax=docker/dockerfile:1\n# escape=`\nRUN a `\n b \\\nCMD c")).toEqual([
      "RUN a  b \\",
      "CMD c",
    ]);
    expect(rests("# a comment\n# escape=`\nRUN a \\\n b")).toEqual(["RUN a  b"]);
    expect(failure("# escape=x\nFROM a")).toContain("invalid escape token 'x'");
    expect(failure("# escape=`\n# escape=`\nFROM a")).toContain("only one escape");
    // Blanks that could be of the value or behind it.
    expect(rests(`# syntax=a${" ".repeat(400_000)}b\nRUN a`)).toEqual(["RUN a"]);
    expect(failure("FROM a\nENV a=b\0c")).toContain("line 2: it has a NUL");
    expect(failure(`FROM a\n${"ENV a=b\n".repeat(2000)}`)).toContain("number of instructions");
  });

  test("here-documents end at their names, keep their lines, and are none in quotes", () => {
    const [run, copy, quoted] = readDockerfile(
      "RUN cat <<EOF > /a && cat 3<<-'B'\n# kept\n  $x \\\nEOF\n\t\ttab\n\tB\nCOPY <<one <<\"two\" /d/\n1\none\n2\ntwo\nRUN echo '<<EOF' \"x <<Y\"\nCMD z",
    ).instructions;
    expect(run?.heredocs).toEqual([
      { name: "EOF", content: "# kept\n  $x \\\n", expand: true },
      { name: "B", content: "\t\ttab\n".replace(/^\t+/, ""), expand: false },
    ]);
    expect(copy?.heredocs).toEqual([
      { name: "one", content: "1\n", expand: true },
      { name: "two", content: "2\n", expand: false },
    ]);
    expect(quoted?.heredocs).toEqual([]);
    expect(failure("FROM a\nRUN <<EOF\nx")).toBe(
      "dockerfile parse error on line 2: unterminated heredoc EOF",
    );
  });
});

describe("words", () => {
  const values: Readonly<Record<string, string>> = { a: "one", empty: "", path: "x/y.tar.gz", two: "b c" };
  const expand = (text: string) => expandWord(text, "\\", (name) => values[name]);

  test.each([
    ["$a ${a}s $none-", "one ones -"],
    ["${none:-d} ${empty:-d} ${empty-d} ${none-d} ${a:-d}", "d d  d one"],
    ["${a:+set} ${empty:+set} ${empty+set} ${none+set}", "set  set "],
    ["${none:-${a}} ${none:-\"q $a\"} ${none:-'$a'}", "one q one $a"],
    ['\'$a\' "$a" \\$a "\\$a" "\\n" \\n', "$a one $a $a \\n n"],
    ["${path#*/} ${path##*.} ${path%.*} ${path%%.*}", "y.tar.gz gz x/y.tar x/y"],
    ["${path/y/z} ${path//[.]/_} ${path/.//}", "x/z.tar.gz x/y.tar.gz x/y/tar.gz"],
    ["a$ $$ $: ${a}$", "a$ $$ $: one$"],
    ["\"a b\"'c d'", "a bc d"],
  ])("%s", (text, wanted) => {
    expect(expand(text)).toBe(wanted);
  });

  test.each([
    ["${path//*.}", "gz"],
    ["${path//./}", "x/ytargz"],
    ["${path//?./<>}", "x/<>ta<>gz"],
    ["${path/*/all}", "all"],
    ["${path%.???.*}-${path%%[.]*}", "x/y-x/y.tar.gz"],
    ["${path#*}|${path##*}|${path%*}|${path%%*}", "x/y.tar.gz||x/y.tar.gz|"],
    ["${smile#?}${smile/😀/🙂}", "-a🙂-a"],
  ])("%s", (text, wanted) => {
    const more: Readonly<Record<string, string>> = { ...values, smile: "😀-a" };
    expect(expandWord(text, "\\", (name) => more[name])).toBe(wanted);
  });

  test("patterns that could be tried in very many ways, and words that double, come to an end", () => {
    const many = (name: string) => (name === "a" ? "a".repeat(16_000) : undefined);
    for (const operator of ["##", "#", "%%", "%", "/", "//"])
      expect(expandWord(`\${a${operator}${"*a".repeat(12)}b}`, "\\", many)).toHaveLength(16_000);
    const big = (name: string) => (name === "a" ? "a".repeat(600_000) : undefined);
    for (const text of ["$a$a", '"$a$a"', "${none:-$a$a}", "${none:-${none:-$a}$a}"])
      expect(() => expandWord(text, "\\", big)).toThrow("it becomes more than 1048576 characters");
    expect(() => expandWord("${a#b}", "\\", big)).toThrow("at most 16384 characters");
  });

  test("a variable that must be set is an error that says so", () => {
    expect(() => expand("${none:?give it}")).toThrow("none: give it");
    expect(() => expand("${empty:?}")).toThrow("empty: is not allowed to be unset");
    expect(() => expand("${a")).toThrow();
    expect(() => expand("'a")).toThrow("single-quote");
    expect(() => expand('"a')).toThrow("double-quote");
    expect(() => expand("${a:x}")).toThrow("unsupported modifier");
  });

  test("blanks that a variable brings part words, unless they are quoted", () => {
    const words = (text: string) => expandWords(text, "\\", (name) => values[name]);
    expect(words('80 $two "$two" x\\ y $none ""')).toEqual(["80", "b", "c", "b c", "x y", ""]);
  });
});

describe("instructions", () => {
  test("every form of every instruction", () => {
    const list = parsed(
      [
        "FROM --platform=linux/amd64 a:1 AS Base",
        'RUN ["a", "b c"]',
        "RUN --network=none a && b",
        "CMD",
        'ENTRYPOINT ["x"]',
        'ENV A=b C="d e" F=g\\ h',
        "ENV old  style value",
        'LABEL "multi word"=x',
        "ARG v w=1",
        "EXPOSE 80 443/udp",
        'VOLUME ["/a b"]',
        "VOLUME /a /b",
        "USER u:g",
        "WORKDIR /a b",
        "STOPSIGNAL 9",
        "MAINTAINER me <me@x>",
        "ONBUILD RUN a",
        "HEALTHCHECK --interval=1m30s --retries=2 CMD curl x",
        "HEALTHCHECK NONE",
        'SHELL ["/bin/bash", "-c"]',
        "COPY --from=base --chown=1:2 --chmod=755 --link a b /c/",
        'ADD ["a b", "/c"]',
      ].join("\n"),
    );
    expect(list.map(({ line: _line, text: _text, ...rest }) => rest)).toEqual([
      { do: "FROM", image: "a:1", name: "base", platform: "linux/amd64" },
      { do: "RUN", command: { form: "exec", args: ["a", "b c"] }, heredocs: [], network: "" },
      { do: "RUN", command: { form: "shell", line: "a && b" }, heredocs: [], network: "none" },
      { do: "CMD", command: { form: "shell", line: "" } },
      { do: "ENTRYPOINT", command: { form: "exec", args: ["x"] } },
      {
        do: "ENV",
        pairs: [
          ["A", "b"],
          ["C", '"d e"'],
          ["F", "g\\ h"],
        ],
      },
      { do: "ENV", pairs: [["old", "style value"]] },
      { do: "LABEL", pairs: [['"multi word"', "x"]] },
      {
        do: "ARG",
        args: [
          ["v", undefined],
          ["w", "1"],
        ],
      },
      { do: "EXPOSE", ports: "80 443/udp" },
      { do: "VOLUME", paths: ["/a b"] },
      { do: "VOLUME", paths: ["/a", "/b"] },
      { do: "USER", value: "u:g" },
      { do: "WORKDIR", value: "/a b" },
      { do: "STOPSIGNAL", value: "9" },
      { do: "MAINTAINER", value: "me <me@x>" },
      { do: "ONBUILD", value: "RUN a" },
      {
        do: "HEALTHCHECK",
        check: { Test: ["CMD-SHELL", "curl x"], Interval: 90e9, Retries: 2 },
      },
      { do: "HEALTHCHECK", check: { Test: ["NONE"] } },
      { do: "SHELL", shell: ["/bin/bash", "-c"] },
      copy("COPY", ["a", "b"], "/c/", { from: "base", chown: "1:2", chmod: "755" }),
      copy("ADD", ["a b"], "/c"),
    ]);
  });

  function copy(
    verb: "ADD" | "COPY",
    sources: string[],
    destination: string,
    flags: Record<string, string> = {},
  ) {
    return {
      do: verb,
      sources,
      inline: [],
      destination,
      from: "",
      chown: "",
      chmod: "",
      checksum: "",
      ...flags,
    };
  }

  test.each([
    ["", "file with no instructions"],
    ["FROM a\nFOO b", "line 2: unknown instruction: FOO"],
    ["FROM a b", "FROM requires either one or three arguments"],
    ["FROM a\nRUN --mount=type=cache,target=/x y", "line 2: --mount is not supported: it is BuildKit's"],
    ["FROM a\nRUN --what y", "unknown flag: --what"],
    ["FROM a\nCOPY --from=a --from=b x y", "duplicate flag specified: --from"],
    ["FROM a\nCOPY x", "COPY requires at least two arguments"],
    ["FROM a\nENV a=b c", 'can\'t find = in "c"'],
    ["FROM a\nENV a", "ENV must have two arguments"],
    ["FROM a\nSHELL bash", "SHELL requires the arguments to be in JSON form"],
    ["FROM a\nHEALTHCHECK --interval=5 CMD x", "invalid --interval 5"],
    ["FROM a\nHEALTHCHECK x", "Unknown type"],
    ["FROM a\nONBUILD FROM b", "FROM isn't allowed as an ONBUILD trigger"],
    ["FROM a\nONBUILD ONBUILD RUN b", "ONBUILD ONBUILD"],
    ["FROM a\nONBUILD FOO b", "line 2: unknown instruction: FOO"],
  ])("%j is refused: %s", (text, why) => {
    expect(failure(text)).toContain(why);
  });

  test("durations are Go's", () => {
    expect(["1h2m3s", "250ms", "1.5s", "0", "5", "s", "-1s"].map(duration)).toEqual([
      3_723e9,
      250e6,
      1.5e9,
      0,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("stages", () => {
  const text = [
    "ARG V=1",
    "ARG W=${V}x",
    "FROM base:$V AS one",
    "RUN a",
    "FROM other AS two",
    "COPY --from=one /a /b",
    "FROM unused AS three",
    "FROM two",
    "COPY --from=0 /x /y",
    "COPY --from=some/image /x /y",
  ].join("\n");
  const plan = (target: string, args: Record<string, string> = {}) =>
    planStages(parsed(text), {
      escapeToken: "\\",
      buildArguments: new Map(Object.entries(args)),
      automatic: new Map(),
      target,
    });

  test("only what the target needs is built", () => {
    expect(plan("").needed).toEqual([0, 1, 3]);
    expect(plan("two").needed).toEqual([0, 1]);
    expect(plan("ONE").needed).toEqual([0]);
    expect(plan("2").needed).toEqual([2]);
    expect(() => plan("four")).toThrow("failed to reach build target four");
  });

  test("arguments before the first FROM are for the FROMs, and can be given", () => {
    expect(plan("").stages[0]?.image).toBe("base:1");
    expect(plan("", { V: "2" }).stages[0]?.image).toBe("base:2");
    expect(plan("", { V: "2" }).globalArguments.get("W")).toBe("2x");
    expect(() =>
      planStages(parsed("RUN a"), {
        escapeToken: "\\",
        buildArguments: new Map(),
        automatic: new Map(),
        target: "",
      }),
    ).toThrow("begin with FROM");
  });
});
