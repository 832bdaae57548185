/**
 * The daemon's connection to the agent of one VM (guest/protocol.md). The guest is hostile: what breaks the
 * protocol ends the connection, and no message of the guest makes the daemon keep more than the limits.
 */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { messageOf } from "../../contract/errors.ts";
import { printable } from "../../contract/printable.ts";
import { AgentProcess, type OutputSink } from "./agent-process.ts";
import { dial } from "./dial.ts";
import { FieldReader, FieldWriter, ProtocolError } from "./fields.ts";
import { encodeFrame, type Frame, FrameReader, preamble } from "./frames.ts";
import { frame, frames, limits, phases, protocolVersion, results, verbs } from "./protocol.ts";

/** The agent refused a request. */
export class AgentRefusal extends Error {
  override readonly name = "AgentRefusal";
  readonly result: number;

  constructor(result: number, message: string) {
    super(message);
    this.result = result;
  }
}

/** The connection is over. */
export class AgentLost extends Error {
  override readonly name = "AgentLost";
  /** Whether the agent is to blame: it broke the protocol or does not answer. */
  readonly fault: boolean;

  constructor(message: string, fault: boolean) {
    super(message);
    this.fault = fault;
  }
}

export interface Welcome {
  readonly phase: number;
  readonly nextHandle: number;
  /** Bytes of input of the main process that the agent has. */
  readonly inputOffset: number;
}

export interface OpenOptions {
  /** Milliseconds until the welcome. */
  readonly timeout: number;
  readonly signal?: AbortSignal;
}

interface PendingRequest {
  /** It changes nothing, whether or not it is ever answered. */
  readonly isQuestion: boolean;
  readonly resolve: (answer: FieldReader) => void;
  readonly reject: (error: unknown) => void;
  /** Milliseconds. */
  readonly timeout: number;
  timer: NodeJS.Timeout | undefined;
  parts: Buffer[];
  size: number;
}

const mainHandle = 0;

/** Leaves the handles that follow it room in 32 bits. */
const highestHandle = 0xf0000000;

/** Most parts of an answer: the agent fills each of them, and they may cost more than the bytes in them. */
const responseParts = 2 * Math.ceil(limits.responseBytes / frame.maximumPayload);

/** Bytes that wait for the agent to read them at which a request is refused, and at which the agent is given up. */
const unreadRequests = 2 * limits.requestBytes;
const unreadLimit = 2 * unreadRequests;

const questions: readonly number[] = [verbs.processes, verbs.statistics];

/** Questions that were given up and may still be answered, at most. */
const mostGivenUp = 16;

/** QEMU serves one connection at a time: in one process, a later one to the same agent takes over. */
const openConnections = new Map<string, AgentConnection>();

export class AgentConnection {
  readonly welcome: Welcome;
  /** Resolves with the reason when the connection is over. */
  readonly closed: Promise<AgentLost>;
  readonly #socket: Socket;
  readonly #path: string;
  readonly #requests = new Map<number, PendingRequest>();
  readonly #givenUp = new Set<number>();
  readonly #processes = new Map<number, AgentProcess>();
  readonly #resolveClosed: (reason: AgentLost) => void;
  #reason: AgentLost | undefined;
  #still = false;
  #nextRequest = 1;
  #nextHandle: number;

  private constructor(socket: Socket, path: string, welcome: Welcome) {
    const { promise, resolve } = Promise.withResolvers<AgentLost>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#socket = socket;
    this.#path = path;
    this.welcome = welcome;
    this.#nextHandle = welcome.nextHandle;
  }

  /**
   * Connects to QEMU's end of the port, which may not be there yet, and greets the agent, which may still be
   * booting. Rejects with `AgentLost` when the agent does not answer in `timeout` milliseconds or `signal`
   * aborts.
   */
  static async open(path: string, options: OpenOptions): Promise<AgentConnection> {
    openConnections.get(path)?.close();
    const deadline = Date.now() + options.timeout;
    const socket = await dial(path, deadline, options.signal).catch((error: unknown) => {
      throw new AgentLost(`cannot be reached: ${messageOf(error)}`, false);
    });
    const nonce = randomBytes(16);
    const reader = new FrameReader((found) => isWelcome(found, nonce));
    return new Promise((resolve, reject) => {
      let connection: AgentConnection | undefined;
      const fail = (why: string, fault: boolean): void => {
        clearTimeout(timer);
        const lost = new AgentLost(why, fault);
        if (connection === undefined) reject(lost);
        else connection.#end(lost);
        socket.destroy();
      };
      const timer = setTimeout(() => fail("did not answer in time", true), deadline - Date.now());
      const abandon = (): void => {
        if (connection === undefined) fail("is gone", false);
      };
      options.signal?.addEventListener("abort", abandon);
      socket.on("error", (error) => fail(`cannot be reached: ${error.message}`, false));
      socket.on("close", () => fail("closed the connection", false));
      socket.on("data", (data: Buffer) => {
        try {
          for (const found of reader.push(data))
            if (connection !== undefined) connection.#receive(found);
            else {
              connection = new AgentConnection(socket, path, readWelcome(found));
              openConnections.set(path, connection);
              clearTimeout(timer);
              resolve(connection);
            }
        } catch (error) {
          fail(`broke the protocol: ${messageOf(error)}`, true);
        }
      });
      socket.write(preamble);
      const hello = new FieldWriter().u32(protocolVersion).bytes(nonce).take();
      socket.write(encodeFrame(frames.hello, 0, hello));
      if (options.signal?.aborted) abandon();
    });
  }

  /**
   * Sends a request and resolves with the fields of its answer. Rejects with `AgentRefusal` or `AgentLost`. After `timeout`
   * milliseconds without an answer the connection is over: nobody knows what has become of the workload. A question is
   * given up alone, for a host may be so busy that the guest hardly moves.
   */
  request(
    verb: (typeof verbs)[keyof typeof verbs],
    body: FieldWriter,
    timeout = 30_000,
  ): Promise<FieldReader> {
    const bytes = Buffer.concat([Buffer.of(verb), body.take()]);
    if (bytes.length > limits.requestBytes)
      return Promise.reject(
        new AgentRefusal(results.invalid, `a request of ${bytes.length} bytes is too large`),
      );
    if (this.#reason !== undefined) return Promise.reject(this.#reason);
    if (this.#socket.writableLength > unreadRequests)
      return Promise.reject(new AgentRefusal(results.failed, "it has not read the requests before this one"));
    const isQuestion = questions.includes(verb);
    if (isQuestion && this.#givenUp.size >= mostGivenUp)
      return Promise.reject(
        new AgentRefusal(results.failed, "it has not answered the questions before this one"),
      );
    const id = this.#nextRequest++;
    return new Promise((resolve, reject) => {
      const answer = { resolve, reject, timer: undefined, parts: [], size: 0 };
      const pending: PendingRequest = { ...answer, isQuestion, timeout };
      this.#requests.set(id, pending);
      if (!this.#still) this.#await(id, pending);
      let at = 0;
      for (; bytes.length - at > frame.maximumPayload; at += frame.maximumPayload)
        this.#send(frames.requestPart, id, bytes.subarray(at, at + frame.maximumPayload));
      this.#send(frames.request, id, bytes.subarray(at));
    });
  }

  /** The machine is about to be stopped: that nothing is answered until it goes on is not the agent's fault. */
  standStill(): void {
    this.#still = true;
    for (const { timer } of this.#requests.values()) clearTimeout(timer);
  }

  /** The machine goes on: what it was asked before has all its time again. */
  goOn(): void {
    this.#still = false;
    for (const [id, request] of this.#requests) this.#await(id, request);
  }

  #await(id: number, request: PendingRequest): void {
    clearTimeout(request.timer);
    const giveUp = (): void => {
      if (!request.isQuestion) {
        this.#fail("did not answer in time");
        return;
      }
      this.#requests.delete(id);
      this.#givenUp.add(id);
      request.reject(new AgentRefusal(results.failed, "it did not answer in time"));
    };
    request.timer = setTimeout(giveUp, request.timeout);
  }

  /** A process that is about to be started over this connection; frames of it are taken from now on. */
  addMain(sink: OutputSink): AgentProcess {
    return this.#add(mainHandle, limits.mainWindow, sink);
  }

  addExec(sink: OutputSink): AgentProcess {
    return this.#add(this.#nextHandle++, limits.execWindow, sink);
  }

  /** Takes up the main process where an earlier daemon left it. */
  resumeMain(sink: OutputSink, taken: readonly [number, number]): AgentProcess {
    const process = new AgentProcess({
      handle: mainHandle,
      window: limits.mainWindow,
      send: (type, id, payload) => this.#send(type, id, payload),
      sink,
      taken,
      inputOffset: this.welcome.inputOffset,
    });
    this.#processes.set(mainHandle, process);
    this.#send(frames.resume, mainHandle, new FieldWriter().u64(taken[0]).u64(taken[1]).take());
    return process;
  }

  /** The agent may forget a process whose exit is taken. */
  forget(process: AgentProcess): void {
    this.#processes.delete(process.handle);
    this.#send(frames.exitAcknowledge, process.handle, new Uint8Array());
  }

  /** A process that was never started. */
  drop(process: AgentProcess): void {
    this.#processes.delete(process.handle);
  }

  close(): void {
    this.#fail("was let go", false);
  }

  #add(handle: number, window: number, sink: OutputSink): AgentProcess {
    if (this.#processes.size >= limits.processes)
      throw new AgentRefusal(results.failed, `more than ${limits.processes} processes were started`);
    const send = (type: number, id: number, payload: Uint8Array): void => this.#send(type, id, payload);
    const process = new AgentProcess({ handle, window, send, sink });
    if (this.#reason === undefined) this.#processes.set(handle, process);
    else process.lose(this.#reason);
    return process;
  }

  #send(type: number, id: number, payload: Uint8Array): void {
    if (this.#reason !== undefined) return;
    this.#socket.write(encodeFrame(type, id, payload));
    // An agent may send output and ask for input, and never read the acknowledgements and the input.
    if (this.#socket.writableLength > unreadLimit) this.#fail("does not read what it is sent");
  }

  #receive({ type, id, payload }: Frame): void {
    if (this.#reason !== undefined) return;
    const process = this.#processes.get(id);
    if (type === frames.response || type === frames.responsePart)
      this.#receiveResponse(id, payload, type === frames.response);
    else if (process !== undefined) process.receive(type, payload);
    // A credit may cross the daemon's forgetting of the process; anything else has no business here.
    else if (type !== frames.inputCredit)
      throw new ProtocolError(`the agent speaks of an unknown process ${id}`);
  }

  #receiveResponse(id: number, payload: Buffer, last: boolean): void {
    const request = this.#requests.get(id);
    if (request === undefined && this.#givenUp.has(id)) {
      if (last) this.#givenUp.delete(id);
      return;
    }
    if (request === undefined) throw new ProtocolError(`the agent answers an unknown request ${id}`);
    request.size += payload.length;
    request.parts.push(Buffer.from(payload));
    if (request.size > limits.responseBytes || request.parts.length > responseParts)
      throw new ProtocolError("the agent's answer is too large");
    if (!last) return;
    this.#requests.delete(id);
    clearTimeout(request.timer);
    const fields = new FieldReader(Buffer.concat(request.parts));
    const result = fields.u8();
    const message = fields.string();
    if (result === results.ok) request.resolve(fields);
    else request.reject(new AgentRefusal(result, printable(message)));
  }

  #fail(why: string, fault = true): void {
    this.#end(new AgentLost(why, fault));
    this.#socket.destroy();
  }

  #end(reason: AgentLost): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    if (openConnections.get(this.#path) === this) openConnections.delete(this.#path);
    for (const request of this.#requests.values()) {
      clearTimeout(request.timer);
      request.reject(reason);
    }
    this.#requests.clear();
    for (const process of this.#processes.values()) process.lose(reason);
    this.#processes.clear();
    this.#resolveClosed(reason);
  }
}

function isWelcome(found: Frame, nonce: Buffer): boolean {
  return (
    found.type === frames.welcome && found.payload.length >= 20 && found.payload.subarray(4, 20).equals(nonce)
  );
}

function readWelcome(found: Frame): Welcome {
  const fields = new FieldReader(found.payload);
  const version = fields.u32();
  if (version !== protocolVersion)
    throw new ProtocolError(
      `the agent speaks version ${version}, this daemon ${protocolVersion}: stop the workload`,
    );
  fields.bytes(16);
  const phase = fields.u8();
  if (!Object.values<number>(phases).includes(phase))
    throw new ProtocolError("the agent is in no known phase");
  const nextHandle = fields.u32();
  if (nextHandle <= mainHandle || nextHandle > highestHandle)
    throw new ProtocolError(`the agent's next handle is ${nextHandle}`);
  return { phase, nextHandle, inputOffset: fields.u64() };
}
