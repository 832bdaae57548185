/**
 * A network namespace that stands for the world beyond the host: addresses, a web server on each port, a resolver with
 * names of its own, and a port that counts what it is sent.
 */
import { run, start } from "../../src/host/spawn.ts";
import { until } from "./until.ts";

export const world = {
  host: "198.51.100.1",
  host6: "2001:db8:f::1",
  resolver: "198.51.100.2",
  /** Far addresses, which every port of the world answers on. */
  one: "203.0.113.9",
  two: "203.0.113.10",
  three: "203.0.113.11",
  six: "2001:db8:e::9",
  otherSix: "2001:db8:e::10",
  web: [7000, 7001],
  counter: 7002,
} as const;

/** What the world's resolver knows: every other name is unknown. */
const zone: Readonly<Record<string, readonly string[]>> = {
  "one.example": [world.one],
  "two.example": [world.two],
  "a.pool.example": [world.three],
  "six.pool.example": [world.six],
  // Whoever has an allowed name may say that it is somebody else's address.
  "rebound.pool.example": [world.host, "169.254.169.254", "127.0.0.1"],
};

const server = `
import http.server, socket, threading, struct, json, sys
zone = json.loads(sys.argv[1])
counted = 0
class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (str(counted) if self.path == "/counted" else "from " + self.client_address[0]).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
def count():
    global counted
    s = socket.create_server(("::", ${world.counter}), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        c, _ = s.accept()
        def read(c=c):
            global counted
            while True:
                b = c.recv(65536)
                if not b: return
                counted += len(b)
        threading.Thread(target=read, daemon=True).start()
def names():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("${world.resolver}", 53))
    while True:
        q, peer = s.recvfrom(4096)
        at, labels = 12, []
        while q[at]: labels.append(q[at+1:at+1+q[at]].decode("latin1").lower()); at += q[at] + 1
        kind = struct.unpack("!H", q[at+1:at+3])[0]
        found = zone.get(".".join(labels))
        records = [(f, socket.inet_pton(f, a)) for a in found or [] for f in [socket.AF_INET6 if ":" in a else socket.AF_INET]]
        wanted = [d for f, d in records if (kind == 1 and f == socket.AF_INET) or (kind == 28 and f == socket.AF_INET6)]
        head = q[:2] + struct.pack("!HHHHH", 0x8580 | (0 if found else 3), 1, len(wanted), 0, 0)
        s.sendto(head + q[12:at+5] + b"".join(b"\\xc0\\x0c" + struct.pack("!HHIH", kind, 1, 600, len(d)) + d for d in wanted), peer)
for work in [count, names] + [lambda p=p: Server(("::", p), Web).serve_forever() for p in ${JSON.stringify(world.web)}]:
    threading.Thread(target=work, daemon=True).start()
threading.Event().wait()`;

export class OutsideWorld implements AsyncDisposable {
  readonly #processes: ReturnType<typeof start>[] = [];
  #pid = 0;

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#processes) {
      child.kill("SIGKILL");
      await child.exited;
    }
    await run(["ip", "link", "delete", "up0"]);
  }

  /** Runs a command out there. */
  async run(...command: readonly string[]): Promise<string> {
    return (await run(inPlace(this.#pid, command))).stdout;
  }

  /** Bytes that the counting port has been sent so far. */
  async counted(): Promise<number> {
    const script = `import urllib.request as u; print(u.urlopen("http://${world.one}:${world.web[0]}/counted").read().decode())`;
    return Number(await this.run("python3", "-c", script));
  }

  async open(): Promise<void> {
    this.#pid = this.#start(["unshare", "--net", "sleep", "10000"]);
    await until("the world is there", async () => {
      const [own, theirs] = await Promise.all(
        ["self", this.#pid].map((pid) => run(["readlink", `/proc/${pid}/ns/net`])),
      );
      return own?.stdout !== theirs?.stdout;
    });
    const outside = inPlace(this.#pid, ["sh", "-e", "-c"]);
    const near = `ip addr add ${world.host}/24 dev up0; ip -6 addr add ${world.host6}/64 dev up0 nodad; ip link set up0 up`;
    const routes = `ip route replace default via ${world.resolver}; ip -6 route replace default via 2001:db8:f::2`;
    const far = [world.one, world.two, world.three].map((address) => `ip addr add ${address}/32 dev lo`);
    const far6 = [world.six, world.otherSix].map((address) => `ip -6 addr add ${address}/128 dev lo nodad`);
    await must(
      "ip",
      "link",
      "add",
      "up0",
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      String(this.#pid),
    );
    await must(
      ...outside,
      `ip link set lo up; ip addr add ${world.resolver}/24 dev eth0; ip -6 addr add 2001:db8:f::2/64 dev eth0 nodad; ip link set eth0 up; ${[...far, ...far6].join(";")}`,
    );
    await must("sh", "-e", "-c", `${near}; ${routes}`);
    await must(...outside, `ip -6 route replace fd00::/8 via ${world.host6}`);
    this.#start(inPlace(this.#pid, ["python3", "-c", server, JSON.stringify(zone)]));
    await until("the world answers", async () => {
      const { stdout } = await run(inPlace(this.#pid, ["ss", "-ltnu"]));
      return [...world.web, world.counter, 53].every((port) => stdout.includes(`:${port} `));
    });
  }

  #start(command: readonly string[]): number {
    const child = start(command, { stdio: ["ignore", "ignore", "inherit"] });
    this.#processes.push(child);
    return child.pid;
  }
}

function inPlace(pid: number, command: readonly string[]): string[] {
  return ["nsenter", "--net", "--target", String(pid), ...command];
}

async function must(...command: readonly string[]): Promise<void> {
  const { code, stderr } = await run(command);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}
