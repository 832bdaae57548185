import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "port WORKLOAD [PORT[/PROTOCOL]]",
  summary: "Shows where a workload's ports are published.",
  flags: {},
  arguments: [1, 2],
  async action(context, { args: [name = "", wanted] }) {
    const hull = await context.hull();
    const { NetworkSettings } = await hull.containers.inspect(name, {});
    const port = wanted === undefined || wanted.includes("/") ? wanted : `${wanted}/tcp`;
    const lines = Object.entries(NetworkSettings.Ports).flatMap(([inside, bindings]) =>
      port === undefined || inside === port
        ? (bindings ?? []).map(({ HostIp, HostPort }) => {
            const host = `${addressText(HostIp ?? "")}:${HostPort ?? ""}`;
            return port === undefined ? `${inside} -> ${host}` : host;
          })
        : [],
    );
    if (port !== undefined && lines.length === 0) {
      await context.stderr.line(`hull: no public port '${port}' published for ${name}`);
      return 1;
    }
    for (const line of lines) await context.stdout.line(line);
    return 0;
  },
});

function addressText(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
