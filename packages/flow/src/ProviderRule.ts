/**
 * One kind of reply of a provider, and what to do: how long to leave what alone, which limits to keep to, whether to give up.
 *
 * @since 0.1.0
 */

import type { AskedLimits } from "./AskedLimits.ts"

/**
 * One kind of reply of a provider, and what to do.
 *
 * @since 0.1.0
 */
export interface ProviderRule {
  /** A name for logs and lists, as `gmail-rate`. */
  readonly name: string
  /** The provider, in words. */
  readonly provider: string
  /** The recipients' domains; `*.example.org` stands for all domains below. Absent for rules about a relay. */
  readonly lanes?: ReadonlyArray<string> | undefined
  /** The relay's names; `*.example.org` stands for all names below. Absent for rules about recipients. */
  readonly relays?: ReadonlyArray<string> | undefined
  /** The codes. */
  readonly codes: ReadonlyArray<number>
  /** The enhanced status (RFC 3463), if it matters. */
  readonly status?: RegExp | undefined
  /** The words, if they matter. */
  readonly words?: RegExp | undefined
  /** What is left alone: the recipient's domain, the relay, or only this message (of several recipients, this one). */
  readonly leaves: "lane" | "relay" | "message"
  /** For how long, in milliseconds; 0 to leave nothing alone. Then the message is tried again, however final the reply sounds. */
  readonly forMs: number
  /** Limits from the reply on. Defaults to none. */
  readonly limits?: AskedLimits | undefined
  /**
   * The enhanced status (RFC 3463) with which the message is refused for good although the reply is temporary, as `5.7.1`. A
   * reply that refuses the session refuses no message. Defaults to what the relay said.
   */
  readonly bounceAs?: string | undefined
  /** The provider's meaning, and the source of the time. */
  readonly why: string
  /** The page that documents the reply. */
  readonly source: string
  /** The month of the page or of the quotation, else when the page was last read, as `2026-11`. */
  readonly asOf: string
}
