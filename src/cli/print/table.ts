/** Lists as tables, as templates, as JSON: what `--format` and `-q` choose from. */
import { renderTemplate, type Scope } from "./template.ts";
import { visible, visibleLine } from "./visible.ts";

export interface Column {
  /** What templates call it. */
  readonly field: string;
  readonly header: string;
}

/** Columns three blanks apart, each as wide as its widest cell. */
export function tableText(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [index, cell] of row.entries())
      widths[index] = Math.max(widths[index] ?? 0, Bun.stringWidth(cell));
  const lines = rows.map((row) =>
    row
      .map((cell, index) => (index === row.length - 1 ? cell : pad(cell, (widths[index] ?? 0) + 3)))
      .join(""),
  );
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

function pad(cell: string, width: number): string {
  return cell + " ".repeat(Math.max(0, width - Bun.stringWidth(cell)));
}

export interface ListFormat {
  /** Columns of the table when no format is given. */
  readonly columns: readonly Column[];
  /** Headers of fields that are only in tables of the user's own. */
  readonly more?: readonly Column[];
  /** The field that `-q` prints. */
  readonly quiet: string;
}

/** A list's rows as the user wants them. Fields that are functions are for templates only. */
export function listText(
  rows: readonly Scope[],
  list: ListFormat,
  options: { readonly format?: string | undefined; readonly quiet?: boolean | undefined },
): string {
  const { format, quiet } = options;
  if (quiet === true && (format === undefined || format === "table"))
    return rows.map((row) => `${String(row[list.quiet])}\n`).join("");
  if (format === undefined || format === "" || format === "table") {
    const head = list.columns.map((column) => column.header);
    const body = rows.map((row) =>
      list.columns.map((column) => visibleLine(String(row[column.field] ?? ""))),
    );
    return tableText([head, ...body]);
  }
  if (format === "json") return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  const text = unescapeBlanks(format);
  if (/^table\s/.test(text)) {
    const template = text.replace(/^table\s+/, "");
    const headers = Object.fromEntries(
      [...(list.more ?? []), ...list.columns].map((column) => [column.field, column.header]),
    );
    const head = headerLine(template, headers);
    const lines = [head, ...rows.map((row) => renderTemplate(template, row))];
    return tableText(lines.map((line) => visible(line).split("\t")));
  }
  return rows.map((row) => `${renderTemplate(text, row)}\n`).join("");
}

/** The template with each field's header in its place. */
function headerLine(template: string, headers: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{\{-?(.*?)-?\}\}/g, (_, action: string) => {
    const field = /\.(\w+)/.exec(action)?.[1] ?? "";
    return headers[field] ?? field.toUpperCase();
  });
}

/** Shells pass `\t` and `\n` as they are typed. */
export function unescapeBlanks(format: string): string {
  return format.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
}
