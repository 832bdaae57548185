/** Pulling an image with its progress shown. */
import type { ProgressLine } from "../contract/docker.ts";
import { type Hull, splitReference } from "../sdk/main.ts";
import { credentialsFor } from "./credentials/for-image.ts";
import type { Output } from "./print/output.ts";
import { ProgressPrinter } from "./print/progress.ts";

export async function pullImage(
  hull: Hull,
  output: Output,
  reference: string,
  options: {
    readonly platform: string | undefined;
    readonly quiet?: boolean;
    readonly allTags?: boolean;
  },
): Promise<void> {
  const { name, tag } = splitReference(reference);
  const { platform, allTags = false } = options;
  const auth = await credentialsFor(hull, name);
  const wanted = tag === "" && !allTags ? "latest" : tag;
  const lines = hull.images.pull({ name, tag: wanted }, { platform, auth });
  if (tag === "" && !allTags && options.quiet !== true) await output.line("Using default tag: latest");
  await showProgress(lines, output, options.quiet === true);
}

export async function showProgress(
  lines: AsyncIterable<ProgressLine>,
  output: Output,
  quiet: boolean,
): Promise<void> {
  const printer = new ProgressPrinter(output);
  for await (const line of lines) if (!quiet) await printer.show(line);
}
