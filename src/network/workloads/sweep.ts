/** Cables whose namespace somebody still holds, although their workload has gone: looked for a moment later. */
import { messageOf } from "../../contract/errors.ts";
import { deleteLink, listLinks } from "../../host/network/links.ts";
import type { NetworkContext } from "../networks/context.ts";

/** Milliseconds; the kernel needs a few. */
const grace = 300;

const waiting = new WeakMap<NetworkContext, { names: Set<string>; timer: Timer | undefined }>();

export function sweepLater(context: NetworkContext, names: readonly string[]): void {
  let state = waiting.get(context);
  if (state === undefined) {
    state = { names: new Set(), timer: undefined };
    waiting.set(context, state);
  }
  for (const name of names) state.names.add(name);
  state.timer ??= setTimeout(() => {
    try {
      sweepNow(context);
    } catch (error) {
      context.log.warn("could not take old network interfaces away", { why: messageOf(error) });
    }
  }, grace);
  state.timer.unref();
}

export function sweepNow(context: NetworkContext): void {
  const state = waiting.get(context);
  if (state === undefined) return;
  clearTimeout(state.timer);
  state.timer = undefined;
  if (state.names.size === 0) return;
  const left = listLinks(context.socket).filter(({ name }) => state.names.has(name));
  const names = [...state.names];
  state.names.clear();
  context.socket.request(left.map(({ name }) => deleteLink(name)));
  // Only now: a port that is still there is still bound to its addresses.
  void context.firewall.unguard(names).catch((error: unknown) => {
    context.log.warn("could not forget old ports of bridges", { why: messageOf(error) });
  });
}
