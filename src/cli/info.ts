import type { SystemInfo } from "../contract/docker.ts";
import { text } from "./parse/options.ts";
import { binarySize } from "./print/human.ts";
import { unescapeBlanks } from "./print/table.ts";
import { renderTemplate } from "./print/template.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "info [OPTIONS]",
  summary: "Shows the state of the daemon and its host.",
  flags: { format: text("TEMPLATE", "json, or a template such as '{{.ServerVersion}}'", "f") },
  arguments: [0, 0],
  async action(context, { options: { format } }) {
    const hull = await context.hull();
    const info = await hull.system.info();
    if (format === "json") await context.stdout.line(JSON.stringify(info));
    else if (format !== undefined && format !== "")
      await context.stdout.line(renderTemplate(unescapeBlanks(format), info));
    else await context.stdout.write(infoText(info));
    for (const warning of info.Warnings ?? []) await context.stderr.line(warning);
    return 0;
  },
});

function infoText(info: SystemInfo): string {
  const walls = (info.Hull?.Walls ?? []).flatMap((wall) => [
    `  ${wall.Isolation}: ${wall.Unavailable === "" ? wall.Label : `unavailable: ${wall.Unavailable}`}`,
    ...(wall.Warning === "" ? [] : [`    ${wall.Warning}`]),
  ]);
  const lines = [
    `Server Version: ${info.ServerVersion}`,
    `Containers: ${info.Containers}`,
    `  Running: ${info.ContainersRunning}`,
    `  Paused: ${info.ContainersPaused}`,
    `  Stopped: ${info.ContainersStopped}`,
    `Images: ${info.Images}`,
    ...(walls.length === 0 ? [] : ["Walls:", ...walls]),
    `Storage Driver: ${info.Driver}`,
    ...(info.DriverStatus ?? []).map(([name, value]) => `  ${name}: ${value}`),
    `Logging Driver: ${info.LoggingDriver}`,
    `Cgroup Driver: ${info.CgroupDriver}`,
    `Cgroup Version: ${info.CgroupVersion}`,
    `Default Runtime: ${info.DefaultRuntime}`,
    `Security Options: ${(info.SecurityOptions ?? []).join(" ")}`,
    `Kernel Version: ${info.KernelVersion}`,
    `Operating System: ${info.OperatingSystem}`,
    `Architecture: ${info.Architecture}`,
    `CPUs: ${info.NCPU}`,
    `Total Memory: ${binarySize(info.MemTotal)}`,
    `Name: ${info.Name}`,
    `Root Dir: ${info.DockerRootDir}`,
  ];
  return `${lines.join("\n")}\n`;
}
