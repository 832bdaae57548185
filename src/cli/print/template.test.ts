import { describe, expect, test } from "bun:test";
import { renderTemplate } from "./template.ts";

const box = {
  Id: "abc",
  Name: "/web",
  State: { Status: "running", Running: true, ExitCode: 0, Error: "" },
  Config: { Env: ["A=1", "B=2"], Labels: { role: "db", "a.b": "dotted" }, Cmd: null },
  NetworkSettings: { Networks: { one: { IPAddress: "10.0.0.2" }, two: { IPAddress: "10.0.0.3" } } },
  Mounts: [],
  Size: 12.5,
};

describe("what Docker's users type", () => {
  test.each([
    ["{{.State.Status}}", "running"],
    ["{{ .Id }}:{{.Name}}", "abc:/web"],
    ["{{json .Config.Env}}", '["A=1","B=2"]'],
    ["{{.Config.Env | json}}", '["A=1","B=2"]'],
    ["{{json .}}", JSON.stringify(box)],
    ["{{.Config.Env}}", "[A=1 B=2]"],
    ["{{.Config.Labels}}", "map[a.b:dotted role:db]"],
    ["{{.Config.Cmd}}", "<no value>"],
    ["{{.State.Running}} {{.State.ExitCode}} {{.Size}}", "true 0 12.5"],
    ["{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", "10.0.0.2 10.0.0.3 "],
    ["{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a.b=dotted;role=db;"],
    ["{{range $i, $e := .Config.Env}}{{$i}}{{$e}},{{end}}", "0A=1,1B=2,"],
    ["{{range .Mounts}}x{{else}}none{{end}}", "none"],
    ['{{index .Config.Labels "a.b"}}', "dotted"],
    ['{{index .Config.Labels "nope"}}', ""],
    ["{{index .Config.Env 1}}", "B=2"],
    ['{{(index .NetworkSettings.Networks "one").IPAddress}}', "10.0.0.2"],
    ["{{if .State.Running}}yes{{else}}no{{end}}", "yes"],
    ["{{if .State.Error}}bad{{else if .State.Running}}up{{else}}down{{end}}", "up"],
    ['{{if eq .State.Status "running"}}1{{end}}', "1"],
    ["{{if and .State.Running (not .State.Error)}}ok{{end}}", "ok"],
    ["{{len .Config.Env}}", "2"],
    ['{{join .Config.Env ","}}', "A=1,B=2"],
    ["{{upper .Id}}{{lower .Name}}{{title .Id}}", "ABC/webAbc"],
    ["{{with .State}}{{.Status}}{{end}}", "running"],
    ["{{$id := .Id}}{{range .Config.Env}}{{$id}}{{.}} {{end}}", "abcA=1 abcB=2 "],
    ["a {{- .Id -}} b", "aabcb"],
    ["{{/* note */}}{{`raw }}`}}", "raw }}"],
    ["no actions", "no actions"],
  ])("%s", (template, expected) => {
    expect(renderTemplate(template, box)).toBe(expected);
  });

  test("printf", () => {
    expect(renderTemplate('{{printf "%.2s|%5s|%-5s|%d%%" .Id .Id .Id .State.ExitCode}}', box)).toBe(
      "ab|  abc|abc  |0%",
    );
  });

  test("a row's method takes its argument", () => {
    const row = { Label: (name: unknown) => `<${String(name)}>` };
    expect(renderTemplate('{{.Label "role"}}', row)).toBe("<role>");
  });
});

describe("what is refused, by name", () => {
  test.each([
    ["{{.Nope}}", "there is no field .Nope; there are: Id, Name"],
    ["{{.State.Nope}}", "there is no field .Nope"],
    ["{{nope .Id}}", "the function nope is not supported"],
    ['{{template "x"}}', "{{template}} is not supported"],
    ["{{if .Id}}x", "has no {{end}}"],
    ["{{end}}", "unexpected {{end}}"],
    ["{{.Id", "unclosed action"],
    ["{{}}", "empty"],
    ["{{.Id | }}", "empty"],
    ["{{$x}}", "$x is not defined"],
    ["{{range .Id}}{{end}}", "range cannot go over abc"],
    ["{{index .Config.Env 9}}", "out of range"],
    ["{{(.Id}}", "parenthesis"],
    ["{{.Id !}}", "! is not understood"],
    ["{{.constructor}}", "there is no field .constructor"],
  ])("%s", (template, message) => {
    expect(() => renderTemplate(template, box)).toThrow(message);
  });
});
