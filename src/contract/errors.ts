/**
 * The one table of errors: code, HTTP status, message. A message says what was wrong, with which value, and
 * what to do. Errors become HTTP once, at the edge of the API, and keep their `cause`.
 *
 * The Docker CLI derives its exit codes 126 and 127 from phrases in the message ("permission denied",
 * "is a directory", "executable file not found", "no such file or directory"): the start errors keep them.
 */

type Details = Readonly<Record<string, string | number>>;

interface ErrorEntry {
  /** HTTP status of the Docker Engine API for this error. */
  readonly status: number;
  /** The message; `{name}` is filled from the details. */
  readonly message: string;
}

export const errorTable = {
  invalidParameter: { status: 400, message: "invalid {what} {value}: {why}" },
  invalidReference: { status: 400, message: "invalid reference format: {value}: {why}" },
  invalidIsolation: { status: 400, message: "invalid isolation {value}: use one of {accepted}" },
  unsupported: { status: 400, message: "{what} is not supported{where}: {why}" },
  noSuchWorkload: { status: 404, message: "No such container: {name}" },
  noSuchImage: { status: 404, message: "No such image: {name}" },
  noSuchFile: { status: 404, message: "Could not find the file {path} in container {name}" },
  notDirectory: { status: 400, message: "{path} in container {name} is not a directory ({why})" },
  fileConflict: { status: 400, message: "copying into container {name}: {why}" },
  readOnlyRoot: {
    status: 403,
    message: "container {name}: its root file system, or the volume mounted there, is marked read-only",
  },
  filesFailed: { status: 500, message: "the files of container {name} cannot be reached: {why}" },
  noSuchExec: { status: 404, message: "No such exec instance: {name}" },
  noSuchObject: { status: 404, message: "No such {kind}: {name}" },
  noSuchTemplate: { status: 404, message: "no such template: {name}: `hull template ls` lists them" },
  noSuchRoute: { status: 404, message: "page not found: {value}" },
  ambiguousName: { status: 400, message: "multiple {what} match {value}: give more characters of the id" },
  nameInUse: {
    status: 409,
    message:
      "the name {name} is already in use by container {id}: remove or rename that container, or choose another name",
  },
  workloadRunning: { status: 409, message: "container {name} is {state}: {why}" },
  workloadNotRunning: { status: 409, message: "container {name} is not running" },
  workloadPaused: { status: 409, message: "container {name} is paused: unpause it first" },
  workloadSuspended: {
    status: 409,
    message: "container {name} is suspended: let it go on with `hull resume {name}` first",
  },
  cannotSuspend: { status: 500, message: "container {name} was not suspended and runs on: {why}" },
  cannotResume: {
    status: 500,
    message:
      "container {name} cannot go on from its suspended state: {why}: to start it anew without its memory, `hull kill {name}` and `hull start {name}`",
  },
  cannotFork: { status: 500, message: "container {name} was not forked and runs on: {why}" },
  notModified: { status: 304, message: "{what}" },
  imageInUse: {
    status: 409,
    message: "image {name} is in use by container {id}: remove the container first, or force",
  },
  conflict: { status: 409, message: "{what}" },
  noSuchNetwork: { status: 404, message: "network {name} not found: `hull network ls` lists them" },
  networkInUse: {
    status: 403,
    message: "network {name} has active endpoints ({users}): disconnect or remove these first",
  },
  networkExists: { status: 409, message: "network with name {name} already exists: choose another name" },
  networkFixed: { status: 403, message: "{name} is a pre-defined network and cannot be {what}" },
  networkUnavailable: { status: 500, message: "networks cannot be made here: {why}" },
  exhausted: { status: 409, message: "no more {what}: {why}" },
  addressInUse: {
    status: 403,
    message: "address {address} of network {network} is already in use: choose another",
  },
  portInUse: {
    status: 500,
    message: "port {port} is already allocated ({why}): stop what uses it, or choose another",
  },
  alreadyConnected: { status: 403, message: "container {name} is already connected to network {network}" },
  notConnected: { status: 403, message: "container {name} is not connected to network {network}" },
  commandNotFound: {
    status: 400,
    message: "exec: {command}: executable file not found in $PATH: no such file or directory",
  },
  commandNotExecutable: { status: 400, message: "exec: {command}: permission denied: {why}" },
  workingDirectoryInvalid: { status: 400, message: "working directory {path}: {why}" },
  noSuchUser: {
    status: 400,
    message: "unable to find user {user}: no matching entries in the image's passwd file",
  },
  startFailed: { status: 500, message: "the {wall} wall could not start container {name}: {why}" },
  monitorLost: {
    status: 500,
    message: "the monitor of container {name} is gone, so its exit code is unknown: start it again",
  },
  vmLost: {
    status: 500,
    message: "the virtual machine of container {name} ended without an exit status: {why}",
  },
  agentFailed: { status: 500, message: "the agent in the virtual machine of container {name} {why}" },
  kvmRequired: {
    status: 400,
    message: "the vm wall needs KVM here (vm.requireKvm is set) but this host has none that works: {why}",
  },
  hostMissing: { status: 500, message: "{what} is missing: {remedy}" },
  corrupt: { status: 400, message: "{what} is corrupt: {why}" },
  tooLarge: { status: 400, message: "{what} is too large: {value} is over the limit of {limit}" },
  dockerfile: { status: 400, message: "dockerfile parse error on line {line}: {why}" },
  download: { status: 400, message: "failed to download {url}: {why}" },
  buildStepFailed: {
    status: 500,
    message: "The command '{command}' returned a non-zero code: {code}",
  },
  registry: { status: 500, message: "registry {host}: {why}" },
  manifestUnknown: { status: 404, message: "manifest for {reference} not found: manifest unknown{why}" },
  pullDenied: {
    status: 404,
    message: "pull access denied for {name}, repository does not exist or may require 'docker login': {why}",
  },
  pushDenied: {
    status: 403,
    message:
      "push access denied for {name}: {why}: log in as somebody who may push there (hull login {host})",
  },
  unauthorized: { status: 401, message: "registry {host} refused the credentials: {why}" },
  digestMismatch: {
    status: 500,
    message: "{what} does not match its digest: expected {expected}, got {actual}: try again",
  },
  noSpace: {
    status: 500,
    message: "no space left on device while writing {what}: free some space under {path}",
  },
  rootLocked: {
    status: 500,
    message: "another daemon uses {path}: stop it, or give this one another --root",
  },
  notWritable: { status: 500, message: "cannot write to {path}: {why}" },
  daemonUnreachable: { status: 500, message: "cannot reach the hull daemon at {path}: {why}" },
  internal: { status: 500, message: "{what}" },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorTable;

/** An error from the table. `details` fill the message and travel to clients beside it. */
export class HullError extends Error {
  override readonly name = "HullError";
  readonly code: ErrorCode;
  readonly details: Details;

  constructor(code: ErrorCode, details: Details = {}, options?: ErrorOptions) {
    super(fillMessage(errorTable[code].message, details), options);
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return errorTable[this.code].status;
  }
}

export function isHullError(error: unknown, code?: ErrorCode): error is HullError {
  return error instanceof HullError && (code === undefined || error.code === code);
}

/** The message of anything that was thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s*\n\s*/g, "; ");
}

function fillMessage(template: string, details: Details): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, key: string) => String(details[key] ?? ""));
}
