/** What every part of the Engine API shares: versions, times, the error body. */

/** The version of the API that Hull speaks, and the oldest it answers to. */
export const apiVersion = "1.47";
export const minimumApiVersion = "1.24";

/** Docker's word for a time that has not come. */
export const zeroTime = "0001-01-01T00:00:00Z";

/** May be missing or null. */
export type Optional<T> = T | null | undefined;

/** The body of every answer with a status of 400 and above. */
export interface ErrorBody {
  readonly message: string;
  /** Hull's own: the code of the error table and what fills its message. */
  readonly code?: string;
  readonly details?: Readonly<Record<string, string | number>>;
}
