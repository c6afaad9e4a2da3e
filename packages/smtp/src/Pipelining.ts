/**
 * How far a connection runs ahead of the replies.
 *
 * | mode          | needs                              | goes out together                             | round trips |
 * |---------------|------------------------------------|-----------------------------------------------|-------------|
 * | `off`         | nothing                            | one command at a time                         | 4           |
 * | `envelope`    | PIPELINING                         | MAIL RCPT… DATA, then the content             | 2           |
 * | `overlap`     | PIPELINING, to be asked for        | content *N* with MAIL RCPT… DATA of *N + 1*   | 1           |
 * | `speculative` | PIPELINING, CHUNKING, a self-test  | RSET MAIL RCPT… BDAT, many messages deep      | ≈ 0         |
 *
 * `auto` is `speculative` where it can be, else `envelope`. Only `overlap` writes anything behind the end of DATA before its
 * reply. RFC 2920 §3.1 allows it, but of six servers that offer PIPELINING three were wrong about it: one stored the
 * next envelope in the message and answered as if all were well, one answered 503, one crashed.
 *
 * @since 0.1.0
 */

import type { Capabilities } from "./Capabilities.ts"

/**
 * How far a connection runs ahead of the replies.
 *
 * @since 0.1.0
 */
export type Mode = "off" | "envelope" | "overlap" | "speculative"

/**
 * The choices of an option: a mode, or the fastest that is safe with any relay.
 *
 * @since 0.1.0
 */
export type Choice = "auto" | Mode

/**
 * All modes, from the most careful to the fastest.
 *
 * @since 0.1.0
 */
export const modes: ReadonlyArray<Mode> = ["off", "envelope", "overlap", "speculative"]

/**
 * How many transactions keep one connection busy in a mode. In `overlap` those are three: one whose content is out, one
 * whose envelope is, and one in hand for the moment when the next content may go.
 *
 * @since 0.1.0
 */
export const depthOf = (mode: Mode, speculativeDepth: number): number =>
  mode === "speculative" ? speculativeDepth : mode === "overlap" ? 3 : 1

/**
 * The fastest mode that is both asked for and offered; the relay's behaviour has the last word.
 *
 * @since 0.1.0
 */
export const offered = (choice: Choice, capabilities: Capabilities): Mode => {
  const wanted = choice === "auto" ? "speculative" : choice
  if (!capabilities.pipelining || wanted === "off") return "off"
  return wanted === "speculative" && !capabilities.chunking ? "envelope" : wanted
}
