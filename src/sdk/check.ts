/**
 * Checks of the few values that a `run` acts on. Whole answers are checked by schemas.ts, which costs a schema
 * library's loading and is therefore asked for only by what needs it.
 */
import { ProtocolError } from "./api-error.ts";

type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ProtocolError(`the daemon's ${what} is not an object`);
  // A checked object; what its members are is checked by those who read them.
  return value as Fields;
}

export function stringField(fields: Fields, name: string, what: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new ProtocolError(`the daemon's ${what} has no ${name}`);
  return value;
}

export function numberField(fields: Fields, name: string, what: string): number {
  const value = fields[name];
  if (typeof value !== "number") throw new ProtocolError(`the daemon's ${what} has no ${name}`);
  return value;
}

export function stringsField(fields: Fields, name: string): string[] {
  const value = fields[name];
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
