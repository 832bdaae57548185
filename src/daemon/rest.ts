/** Gives memory back when the daemon comes to rest: the runtime alone would keep what a burst of work took. */
import type { Server } from "node:http";

const restAfter = 3000;

/** Collects garbage once, a few seconds after the last request began. */
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
    }, restAfter);
    timer.unref();
  };
  server.on("request", postpone);
  server.on("upgrade", postpone);
}
