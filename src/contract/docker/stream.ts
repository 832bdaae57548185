/**
 * A stream without a terminal is multiplexed: frames with a head of 8 bytes (stream, 0, 0, 0, size big-endian)
 * and `size` bytes. With a terminal it is raw.
 */
export const multiplexedStream = "application/vnd.docker.multiplexed-stream";
export const rawStream = "application/vnd.docker.raw-stream";
export const streamIds = { stdin: 0, stdout: 1, stderr: 2, systemError: 3 } as const;
export const frameHeadBytes = 8;
