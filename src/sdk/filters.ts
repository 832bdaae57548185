/** Filters of list and event requests: each name with the values of which one must match. */
export type Filters = Readonly<Record<string, readonly string[]>>;

export function filtersQuery(filters: Filters | undefined): string | undefined {
  return filters === undefined || Object.keys(filters).length === 0 ? undefined : JSON.stringify(filters);
}
