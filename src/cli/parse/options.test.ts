import { describe, expect, test } from "bun:test";
import { HelpRequest, list, parseOptions, text, toggle, UsageError } from "./options.ts";

const flags = {
  interactive: toggle("", "i"),
  tty: toggle("", "t"),
  rm: toggle(""),
  "sig-proxy": toggle("", undefined, true),
  env: list("E", "", "e"),
  name: text("N", ""),
  memory: text("M", "", "m"),
} as const;

const parse = (words: string[], optionsFirst = true) => parseOptions(flags, words, optionsFirst);

describe("flags", () => {
  test("short toggles are bundled, and the last of a bundle may take a value", () => {
    const { options, args } = parse(["-it", "-im", "64m", "image"]);
    expect(options).toMatchObject({ interactive: true, tty: true, memory: "64m" });
    expect(args).toEqual(["image"]);
  });

  test.each([[["-eA=b"]], [["-e", "A=b"]], [["-e=A=b"]], [["--env=A=b"]], [["--env", "A=b"]], [["-ieA=b"]]])(
    "%p gives the same value",
    (words) => {
      expect(parse(words).options.env).toEqual(["A=b"]);
    },
  );

  test("repeated lists collect, repeated texts replace", () => {
    const { options } = parse(["-e", "A=1", "--name=a", "--env=B=2", "--name", "b"]);
    expect(options.env).toEqual(["A=1", "B=2"]);
    expect(options.name).toBe("b");
  });

  test("a toggle takes =true and =false and keeps its initial value otherwise", () => {
    expect(parse([]).options["sig-proxy"]).toBe(true);
    expect(parse(["--sig-proxy=false"]).options["sig-proxy"]).toBe(false);
    expect(parse(["--rm=0", "-i=false"]).options).toMatchObject({ rm: false, interactive: false });
    expect(() => parse(["--rm=maybe"])).toThrow(UsageError);
  });

  test("a value that looks like a flag is still a value", () => {
    expect(parse(["--name", "--rm"]).options).toMatchObject({ name: "--rm", rm: false });
    expect(parse(["-e", "-i"]).options).toMatchObject({ env: ["-i"], interactive: false });
  });
});

describe("arguments", () => {
  test("with options first, flags after the first argument are the command's", () => {
    const { options, args } = parse(["--rm", "image", "ls", "-i", "--name", "x", "--"]);
    expect(args).toEqual(["image", "ls", "-i", "--name", "x", "--"]);
    expect(options.interactive).toBe(false);
  });

  test("without it flags may stand anywhere", () => {
    const { options, args } = parse(["a", "-i", "b", "--name", "x"], false);
    expect(args).toEqual(["a", "b"]);
    expect(options).toMatchObject({ interactive: true, name: "x" });
  });

  test("-- ends flags, - is an argument", () => {
    expect(parse(["-", "a"], false).args).toEqual(["-", "a"]);
    expect(parse(["-i", "--", "-t"]).args).toEqual(["-t"]);
  });
});

describe("mistakes", () => {
  test.each([
    [["--nope"], "unknown flag: --nope"],
    [["-x"], "unknown shorthand flag: 'x' in -x"],
    [["-ix"], "unknown shorthand flag: 'x' in -ix"],
    [["--name"], "flag needs an argument: --name"],
    [["-e"], "flag needs an argument: -e"],
    [["--constructor"], "unknown flag: --constructor"],
  ])("%p is refused by name", (words, message) => {
    expect(() => parse(words)).toThrow(message);
  });

  test("--help and -h ask for help where no flag has that name", () => {
    expect(() => parse(["--help"])).toThrow(HelpRequest);
    expect(() => parse(["-h"])).toThrow(HelpRequest);
    expect(parseOptions({ hostname: text("N", "", "h") }, ["-h", "box"], true).options.hostname).toBe("box");
  });
});
