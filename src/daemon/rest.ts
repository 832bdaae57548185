/** Gives memory back when the daemon comes to rest: the runtime alone would keep what a burst of work took. */
import type { Server } from "node:http";
import { releaseProgramPages } from "../host/program-pages.ts";

const restAfter = 3000;

/** Collects garbage and unmaps idle code once, a few seconds after the start or the last request. */
export function tidyAtRest(server: Server): void {
  let timer: Timer | undefined;
  const postpone = (): void => {
    if (timer !== undefined) {
      timer.refresh();
      return;
    }
    timer = setTimeout(() => {
      timer = undefined;
      Bun.gc(true);
      releaseProgramPages();
    }, restAfter);
    timer.unref();
  };
  postpone();
  server.on("request", postpone);
  server.on("upgrade", postpone);
}
