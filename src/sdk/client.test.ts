/** The client against servers that answer well, badly, late and not at all. */
import { describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { type ScriptedServer, scriptedServer } from "../../test/support/scripted-server.ts";
import { connect, encodeFrame, splitReference } from "./main.ts";

function answer(status: number, body: string, headers = ""): string {
  return `HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`;
}

function answering(text: string): Promise<ScriptedServer> {
  return scriptedServer((connection) => void connection.end(text));
}

async function bytesOf(connection: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  // Not `for await`, which closes both directions at the end of one.
  connection.on("data", (part: Buffer) => parts.push(part));
  connection.resume();
  await new Promise((resolve) => connection.on("end", resolve));
  return Buffer.concat(parts);
}

const created = answer(201, '{"Id":"abc","Warnings":["w"]}');

describe("plain requests", () => {
  test("an answer is found wherever it is cut", async () => {
    for (const text of [
      created,
      `HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\n{"Id"\r\n19\r\n:"abc","Warnings":["w"]} \r\n0\r\nTrailer: x\r\n\r\n`,
      `HTTP/1.1 201 Created\r\n\r\n{"Id":"abc","Warnings":["w"]}`,
    ]) {
      for (let cut = 1; cut < text.length; cut += 7) {
        await using server = await scriptedServer(async (connection) => {
          connection.write(text.slice(0, cut));
          await Bun.sleep(0);
          connection.end(text.slice(cut));
        });
        using hull = connect({ socket: server.socket });
        expect(await hull.containers.create({ Image: "x" })).toEqual({ Id: "abc", Warnings: ["w"] });
      }
    }
  });

  test("the request says what was asked for", async () => {
    const heads: string[] = [];
    await using server = await scriptedServer((connection, head) => {
      heads.push(head);
      connection.end("HTTP/1.1 204 No Content\r\n\r\n");
    });
    using hull = connect({ socket: server.socket });
    await hull.containers.remove("a b/c?", { force: true, volumes: false });
    expect(heads[0]?.split("\r\n")[0]).toBe("DELETE /v1.47/containers/a%20b%2Fc%3F?force=1&v=0 HTTP/1.1");
  });

  test("a connection is kept and used again, a closed one is not", async () => {
    await using server = await scriptedServer((connection, head) => {
      connection.write("HTTP/1.1 204 No Content\r\n\r\n");
      connection.on("data", () => connection.write("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"));
      connection.resume();
      expect(head).toContain("/start");
    });
    using hull = connect({ socket: server.socket });
    await hull.containers.start("a");
    await hull.containers.start("a");
    expect(server.connections).toBe(1);
    await hull.containers.start("a");
    expect(server.connections).toBe(2);
  });

  test("an error has the daemon's status, message and code", async () => {
    await using server = await answering(
      answer(404, '{"message":"No such container: x","code":"noSuchWorkload"}'),
    );
    using hull = connect({ socket: server.socket });
    await expect(hull.containers.start("x")).rejects.toMatchObject({
      name: "ApiError",
      status: 404,
      code: "noSuchWorkload",
      message: "No such container: x",
    });
  });

  test.each([
    ["garbage", "\x00\x01garbage\r\n\r\n", "not HTTP"],
    ["a head that never ends", `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(20000)}`, "over 65536 bytes"],
    ["a head cut short", "HTTP/1.1 200 OK\r\nContent-", "within its head"],
    ["nothing", "", "without an answer"],
    ["a body cut short", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "too early"],
    ["a bad length", "HTTP/1.1 200 OK\r\nContent-Length: -9\r\n\r\n{}", "bad content length"],
    ["a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "bad chunk size"],
    ["a bad header", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "bad header"],
    ["a body that is not JSON", answer(200, "<html>"), "not JSON"],
    ["a body of the wrong shape", answer(200, "[]"), "not an object"],
    ["an error that is not JSON", answer(502, "bad gateway"), "bad gateway"],
  ])("%s is an error that says so", async (_, text, message) => {
    await using server = await answering(text);
    using hull = connect({ socket: server.socket });
    await expect(hull.containers.create({ Image: "x" })).rejects.toThrow(message);
  });

  test("a list of the wrong shape is an error that names the place", async () => {
    await using server = await answering(answer(200, '[{"Id":"a","Names":"x"}]'));
    using hull = connect({ socket: server.socket });
    await expect(hull.containers.list()).rejects.toThrow("0.Names");
  });

  test("no socket and a dead one are told apart", async () => {
    await expect(connect({ socket: "/nonexistent/hull.sock" }).open()).rejects.toMatchObject({
      systemCode: "ENOENT",
    });
  });

  test("a request can be given up", async () => {
    await using server = await scriptedServer(
      (connection) => void connection.write("HTTP/1.1 200 OK\r\n\r\n"),
    );
    using hull = connect({ socket: server.socket });
    const controller = new AbortController();
    const exit = await hull.containers.watchExit("a", "not-running", controller.signal);
    controller.abort(new Error("enough"));
    await expect(exit.result).rejects.toThrow();
  });
});

describe("streams of JSON", () => {
  test("values come one by one, wherever their lines are cut", async () => {
    const lines = '{"status":"one"}\r\n\n{"status":"two","id":"x"}\n{"status":"three"}';
    for (let cut = 1; cut < lines.length; cut += 3) {
      await using server = await scriptedServer(async (connection) => {
        connection.write(`HTTP/1.1 200 OK\r\n\r\n${lines.slice(0, cut)}`);
        await Bun.sleep(0);
        connection.end(lines.slice(cut));
      });
      using hull = connect({ socket: server.socket });
      const seen: (string | undefined)[] = [];
      for await (const line of hull.images.pull({ name: "x", tag: "y" })) seen.push(line.status);
      expect(seen).toEqual(["one", "two", "three"]);
    }
  });

  test("an error in the stream is thrown after what came before it", async () => {
    await using server = await answering(
      'HTTP/1.1 200 OK\r\n\r\n{"status":"one"}\n{"error":"no such host"}\n',
    );
    using hull = connect({ socket: server.socket });
    const seen: (string | undefined)[] = [];
    const pulling = (async () => {
      for await (const line of hull.images.pull({ name: "x", tag: "y" })) seen.push(line.status);
    })();
    await expect(pulling).rejects.toThrow("no such host");
    expect(seen).toEqual(["one"]);
  });

  test("a line without an end is refused", async () => {
    await using server = await answering(`HTTP/1.1 200 OK\r\n\r\n${"x".repeat(5 * 1024 * 1024)}`);
    using hull = connect({ socket: server.socket });
    await expect(hull.images.pull({ name: "x", tag: "y" }).next()).rejects.toThrow("is over");
  });

  test("leaving a stream drops its connection", async () => {
    const closed = Promise.withResolvers<void>();
    await using server = await scriptedServer((connection) => {
      connection.on("end", () => closed.resolve());
      connection.resume();
      connection.write('HTTP/1.1 200 OK\r\n\r\n{"status":"one"}\n');
    });
    using hull = connect({ socket: server.socket });
    for await (const _ of hull.images.pull({ name: "x", tag: "y" })) break;
    await closed.promise;
  });
});

describe("uploads", () => {
  async function* parts() {
    yield Buffer.from("hello ");
    yield Buffer.from("world");
  }

  test("with a known size go as they are, without one in chunks", async () => {
    const bodies: string[] = [];
    await using server = await scriptedServer(async (connection, head) => {
      const end = head.includes("Content-Length") ? "hello world" : "0\r\n\r\n";
      let body = "";
      for await (const data of connection) {
        body += String(data);
        if (body.endsWith(end)) break;
      }
      bodies.push(`${/(content-length|transfer-encoding): .*/i.exec(head)?.[0]}|${body}`);
    });
    using hull = connect({ socket: server.socket });
    // The script reads to the end and answers nothing: what counts is what it read.
    await expect(hull.images.import({ data: parts(), size: 11 }).next()).rejects.toThrow("without an answer");
    await expect(hull.images.import({ data: parts() }).next()).rejects.toThrow("without an answer");
    expect(bodies).toEqual([
      "Content-Length: 11|hello world",
      "Transfer-Encoding: chunked|b\r\nhello world\r\n0\r\n\r\n",
    ]);
  });

  test("an early answer counts, even when the rest cannot be sent", async () => {
    await using server = await scriptedServer((connection) => {
      connection.write(answer(400, '{"message":"corrupt tar"}'));
      connection.destroySoon();
    });
    using hull = connect({ socket: server.socket });
    async function* endless() {
      for (;;) yield Buffer.alloc(65536);
    }
    await expect(hull.images.load({ data: endless() }).next()).rejects.toThrow("corrupt tar");
  });

  test("a file that changed its size is an error", async () => {
    await using server = await scriptedServer((connection) => void connection.resume());
    using hull = connect({ socket: server.socket });
    await expect(hull.images.load({ data: parts(), size: 5 }).next()).rejects.toThrow(
      "grew over the 5 bytes",
    );
    await expect(hull.images.load({ data: parts(), size: 50 }).next()).rejects.toThrow(
      "after 11 of 50 bytes",
    );
  });
});

describe("hijacked streams", () => {
  const upgraded =
    "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n";

  test("output that comes with the head is not lost, and input ends by itself", async () => {
    await using server = await scriptedServer(async (connection, head) => {
      expect(head).toContain("Upgrade: tcp");
      connection.write(Buffer.concat([Buffer.from(upgraded), encodeFrame("stdout", Buffer.from("first "))]));
      const input = await bytesOf(connection);
      connection.end(
        Buffer.concat([encodeFrame("stdout", input), encodeFrame("stderr", Buffer.from("done"))]),
      );
    });
    using hull = connect({ socket: server.socket });
    using streams = await hull.containers.attach("a", { terminal: false, stdin: true });
    await streams.write("some ");
    await streams.write("input");
    streams.endInput();
    const seen: string[] = [];
    for await (const { stream, data } of streams.output)
      seen.push(`${stream}:${Buffer.from(data).toString()}`);
    expect(seen).toEqual(["stdout:first ", "stdout:some input", "stderr:done"]);
  });

  test("input goes on after the end of output", async () => {
    const got = Promise.withResolvers<string>();
    await using server = await scriptedServer(async (connection) => {
      connection.end(upgraded);
      got.resolve((await bytesOf(connection)).toString());
    });
    using hull = connect({ socket: server.socket });
    using streams = await hull.containers.attach("a", { terminal: false, stdin: true });
    for await (const _ of streams.output) throw new Error("there is no output");
    await streams.write("late");
    streams.endInput();
    expect(await got.promise).toBe("late");
  });

  test("a terminal's stream is raw", async () => {
    await using server = await answering(
      "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n\x01\x00raw",
    );
    using hull = connect({ socket: server.socket });
    using streams = await hull.containers.startExec("e", { terminal: true });
    const parts: Uint8Array[] = [];
    for await (const { data } of streams.output) parts.push(data);
    expect(Buffer.concat(parts).toString("latin1")).toBe("\x01\x00raw");
  });

  test("a refusal is the daemon's error", async () => {
    await using server = await answering(answer(409, '{"message":"container a is not running"}'));
    using hull = connect({ socket: server.socket });
    await expect(hull.containers.attach("a", { terminal: false })).rejects.toThrow("is not running");
  });

  test("much data goes both ways at once, byte for byte", async () => {
    await using server = await scriptedServer((connection) => {
      connection.write("HTTP/1.1 101 UPGRADED\r\n\r\n");
      connection.pipe(connection);
    });
    using hull = connect({ socket: server.socket });
    using streams = await hull.containers.attach("a", { terminal: true, stdin: true });
    const block = Buffer.from(Array.from({ length: 65536 }, (_, index) => (index * 7 + (index >> 8)) & 255));
    const blocks = 300;
    const sending = (async () => {
      for (let index = 0; index < blocks; index += 1) await streams.write(block);
      streams.endInput();
    })();
    const sent = new Bun.CryptoHasher("sha256");
    for (let index = 0; index < blocks; index += 1) sent.update(block);
    const received = new Bun.CryptoHasher("sha256");
    for await (const { data } of streams.output) received.update(data);
    await sending;
    expect(received.digest("hex")).toBe(sent.digest("hex"));
  });

  test("a reader that does not read holds the writer back", async () => {
    let written = 0;
    await using server = await scriptedServer(async (connection) => {
      connection.write("HTTP/1.1 101 UPGRADED\r\n\r\n");
      const block = Buffer.alloc(65536);
      for (let index = 0; index < 400 && !connection.destroyed; index += 1) {
        if (!connection.write(block)) await new Promise((resolve) => connection.once("drain", resolve));
        written += block.length;
      }
    });
    using hull = connect({ socket: server.socket });
    using streams = await hull.containers.attach("a", { terminal: true });
    // Not read from: what the kernel and the client hold is all that can be written.
    let before = -1;
    while (before !== written) {
      before = written;
      await Bun.sleep(50);
    }
    expect(written).toBeLessThan(4 * 1024 * 1024);
    streams.close();
  });
});

test.each([
  ["alpine", "alpine", ""],
  ["alpine:3", "alpine", "3"],
  ["localhost:5000/a/b", "localhost:5000/a/b", ""],
  ["localhost:5000/a/b:c", "localhost:5000/a/b", "c"],
  ["a@sha256:00", "a", "sha256:00"],
])("the reference %s is cut at its tag", (reference, name, tag) => {
  expect(splitReference(reference)).toEqual({ name, tag });
});
