import * as v from "valibot";

/**
 * Schema of an object whose keys are its users' words, such as labels. valibot's own `record` leaves out members called
 * `constructor`, `prototype` and `__proto__`; this one keeps every member as the object's own. Whoever reads a member by
 * a name that may be missing asks `ownMember`.
 */
export function dictionary<const Value extends v.GenericSchema>(value: Value) {
  type Input = Readonly<Record<string, v.InferInput<Value>>>;
  type Output = Record<string, v.InferOutput<Value>>;
  return v.pipe(
    { ...v.custom<Input>(isObject), expects: "Object" },
    v.rawTransform<Input, Output>(({ dataset, addIssue, NEVER }) => {
      const members: [string, v.InferOutput<Value>][] = [];
      for (const [key, member] of Object.entries(dataset.value)) {
        const result = v.safeParse(value, member, { abortEarly: true });
        if (result.success) {
          members.push([key, result.output]);
          continue;
        }
        for (const { message, path } of result.issues)
          addIssue({
            message,
            path: [
              { type: "object", origin: "value", input: { ...dataset.value }, key, value: member },
              ...(path ?? []),
            ],
          });
        return NEVER;
      }
      // Defined, not assigned: `__proto__` assigned would be no member.
      return Object.fromEntries(members);
    }),
  );
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
