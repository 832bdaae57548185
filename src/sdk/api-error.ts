/** The errors of the SDK: what the daemon answered, and what kept it from answering. */
import { messageOf } from "../contract/errors.ts";

/** The daemon answered with an error status. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status, 400 and above. */
  readonly status: number;
  /** The code of Hull's error table, when the daemon is Hull's. */
  readonly code: string | undefined;

  constructor(status: number, message: string, code?: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Nothing answers on the socket, or the connection broke: it cannot be known whether the request was acted on. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  /** The system's word for it (`ENOENT`, `ECONNREFUSED`, `EACCES`…), when it is the connecting that failed. */
  readonly systemCode: string | undefined;

  constructor(message: string, systemCode?: string, options?: ErrorOptions) {
    super(message, options);
    this.systemCode = systemCode;
  }
}

/** The daemon's answer is not of the protocol. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

export function connectionErrorOf(socket: string, cause: unknown): ConnectionError {
  const code =
    typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
      ? cause.code
      : undefined;
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "there is no such socket",
    ECONNREFUSED: "nobody listens on it",
    EACCES: "permission denied",
  };
  const why = (code !== undefined && reasons[code]) || messageOf(cause);
  return new ConnectionError(`cannot reach the hull daemon at ${socket}: ${why}`, code, { cause });
}

/** The error that an answer's body tells of; bodies that are not of the API are quoted. */
export function apiErrorOf(status: number, body: Uint8Array): ApiError {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8").trim();
  try {
    const value: unknown = JSON.parse(text);
    if (
      typeof value === "object" &&
      value !== null &&
      "message" in value &&
      typeof value.message === "string"
    ) {
      const code = "code" in value && typeof value.code === "string" ? value.code : undefined;
      return new ApiError(status, value.message, code);
    }
  } catch {
    // Not JSON: quoted below.
  }
  return new ApiError(status, text === "" ? `the daemon answered with status ${status}` : text.slice(0, 500));
}
