/** The number of the rule set that nftables is at: every transaction of anybody's makes a new one. */
import { attributesOf, NetlinkSocket } from "./netlink.ts";
import { nftMessage } from "./nft-words.ts";

const generationId = 1;

export class NftGeneration implements Disposable {
  readonly #socket = new NetlinkSocket(nftMessage.protocol);

  current(): number {
    const answer = this.#socket.get({
      subject: "nftables' generation",
      type: nftMessage.getGeneration,
      flags: 0,
      body: Buffer.alloc(4),
    });
    return answer === undefined ? 0 : (attributesOf(answer.body, 4).get(generationId)?.readUInt32BE(0) ?? 0);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}
