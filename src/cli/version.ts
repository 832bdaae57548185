import packageJson from "../../package.json" with { type: "json" };
import type { SystemVersion } from "../contract/docker.ts";
import { apiVersion } from "../contract/docker.ts";
import type { Context } from "./context.ts";
import { text, toggle } from "./parse/options.ts";
import { unescapeBlanks } from "./print/table.ts";
import { renderTemplate } from "./print/template.ts";
import { complaint } from "./print/visible.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "version [OPTIONS]",
  summary: "Shows the versions of the client and the daemon.",
  flags: {
    client: toggle("Show the client's only; needs no daemon"),
    format: text("TEMPLATE", "json, or a template such as '{{.Server.Version}}'", "f"),
  },
  arguments: [0, 0],
  async action(context, { options }) {
    const client = {
      Version: packageJson.version,
      ApiVersion: apiVersion,
      Runtime: `Bun ${Bun.version}`,
      Os: process.platform,
      Arch: process.arch === "x64" ? "amd64" : process.arch,
    };
    const server = options.client ? undefined : await serverVersion(context);
    const { format } = options;
    const all = { Client: client, Server: server instanceof Error ? undefined : server };
    if (format === "json") await context.stdout.line(JSON.stringify(all));
    else if (format !== undefined && format !== "")
      await context.stdout.line(renderTemplate(unescapeBlanks(format), all));
    else {
      await context.stdout.write(block("Client", client));
      if (server !== undefined && !(server instanceof Error))
        await context.stdout.write(
          `\n${block(`Server: ${server.Platform?.Name ?? ""}`, serverRows(server))}`,
        );
    }
    if (!(server instanceof Error)) return 0;
    await context.stderr.line(complaint(server));
    return 1;
  },
});

/** The client's version is shown whatever becomes of the daemon's. */
async function serverVersion(context: Context): Promise<SystemVersion | Error> {
  try {
    const hull = await context.hull();
    return await hull.system.version();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function serverRows(server: SystemVersion): Record<string, string> {
  const components = (server.Components ?? []).filter(({ Name }) => Name !== "Engine");
  return {
    Version: server.Version,
    ApiVersion: `${server.ApiVersion} (minimum ${server.MinAPIVersion ?? ""})`,
    Kernel: server.KernelVersion ?? "",
    Os: server.Os,
    Arch: server.Arch,
    ...Object.fromEntries(components.map(({ Name, Version }) => [Name, Version])),
  };
}

const labels: Readonly<Record<string, string>> = { ApiVersion: "API version", Os: "OS" };

function block(title: string, rows: Readonly<Record<string, string>>): string {
  const lines = Object.entries(rows).map(
    ([name, value]) => ` ${`${labels[name] ?? name}:`.padEnd(18)}${value}`,
  );
  return `${title.trimEnd().replace(/:?$/, ":")}\n${lines.join("\n")}\n`;
}
