/**
 * The wire types of the Docker Engine API, as far as Hull speaks it: what the API sends and the SDK reads.
 * Source: the Engine API reference, versions 1.24 to 1.47. Names are the wire's own.
 *
 * Requests: every member may be missing or null (Go clients send null for empty lists and maps).
 * Responses: members without `?` are always sent.
 * Times are RFC 3339 with nanoseconds unless said otherwise; `0001-01-01T00:00:00Z` means never.
 */

export * from "./docker/build.ts";
export * from "./docker/common.ts";
export * from "./docker/container-requests.ts";
export * from "./docker/containers.ts";
export * from "./docker/exec.ts";
export * from "./docker/images.ts";
export * from "./docker/networks.ts";
export * from "./docker/stream.ts";
export * from "./docker/system.ts";
export * from "./docker/volumes.ts";
