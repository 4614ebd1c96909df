/**
 * What processes are linked by. A wire is one connection: it carries frames in order, until it is lost, and then never again.
 */

export interface Wires {
  /** Takes connections from now on. */
  serve(events: ServerEvents): void;
  /**
   * Connects to another process; `onLost` is called if that can't be.
   *
   * @param interval of a wire that nobody waits for, not even at the end: seconds from one try to the next
   */
  connect(uri: string, events: WireEvents, interval?: number): Wire;
  /** Sends a frame to all who follow the feed; who reads too slowly misses some. */
  publish(frame: Buffer): void;
  /** @param interrupted frames may be missed from now on */
  follow(uri: string, onFrame: (frame: Buffer) => void, interrupted: () => void): void;
  close(): void;
}

/** A connection to another process. */
export interface Wire {
  send(frame: Buffer): void;
  /** Nothing comes from it any more; what was sent still goes. */
  close(): void;
}

export interface WireEvents {
  onFrame(frame: Buffer): void;
  onLost(why: string): void;
}

export interface ServerEvents {
  /** There is a connection, whose first frame is yet to come. */
  accept(wire: Wire): WireEvents;
  /** Some connection broke: the one that nothing can be sent on. */
  probe(): void;
  /** Somebody follows the feed. */
  subscribed(): void;
}
