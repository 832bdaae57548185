/** The numbers of guest/protocol.json, which a test compares with this file. Meaning: guest/protocol.md. */

export const protocolVersion = 2;
export const portName = "hull.agent";

export const frame = {
  magic: 19528,
  headerBytes: 12,
  endByte: 165,
  maximumPayload: 16384,
} as const;

export const limits = {
  preambleBytes: 16397,
  requestBytes: 4194304,
  responseBytes: 1048576,
  mainWindow: 262144,
  execWindow: 65536,
  inputWindow: 65536,
  processes: 256,
  strings: 65536,
  filesRecord: 4194304,
} as const;

export const frames = {
  hello: 1,
  requestPart: 2,
  request: 3,
  input: 4,
  inputEnd: 5,
  acknowledge: 6,
  exitAcknowledge: 7,
  resume: 8,
  welcome: 65,
  responsePart: 66,
  response: 67,
  output: 68,
  outputEnd: 69,
  inputCredit: 70,
  exit: 71,
} as const;

export const verbs = {
  setUp: 1,
  start: 2,
  signal: 3,
  resize: 4,
  processes: 5,
  statistics: 6,
  setClock: 7,
  shutDown: 8,
  setNetwork: 9,
  writeFile: 10,
  files: 11,
  freeze: 12,
  thaw: 13,
  rehearse: 14,
  prepareRoot: 15,
} as const;

export const phases = { booted: 0, ready: 1, running: 2, ended: 3 } as const;

export const channels = { stdout: 1, stderr: 2 } as const;

export const results = {
  ok: 0,
  commandNotFound: 1,
  commandNotExecutable: 2,
  workingDirectory: 3,
  noSuchUser: 4,
  failed: 5,
  noSuchProcess: 6,
  invalid: 7,
} as const;
