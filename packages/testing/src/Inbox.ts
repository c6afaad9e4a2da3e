/**
 * The messages that a test server has taken, with their envelope and bytes, and where they are stored.
 *
 * @since 0.1.0
 */

/**
 * A reverse or forward path with the parameters given along with it (RFC 5321 §4.1.2).
 *
 * @since 0.1.0
 */
export interface Path {
  /** The address without angle brackets; empty for the null sender. */
  readonly address: string
  /** Parameters by upper-case name as they were written; a flag such as SMTPUTF8 has the empty string. */
  readonly parameters: { readonly [name: string]: string }
}

/**
 * How a connection was encrypted.
 *
 * @since 0.1.0
 */
export interface TlsInfo {
  /** As in `TLSv1.3`. */
  readonly protocol: string
  readonly cipher: string
  /** The name the client asked for (SNI), where it asked for one. */
  readonly servername: string | undefined
  /** True if an earlier session was taken up again. */
  readonly resumed: boolean
  /** The protocol agreed on by ALPN, where one was. */
  readonly alpn: string | undefined
}

/**
 * A message taken by the server.
 *
 * @since 0.1.0
 */
export interface Message {
  /** The connection that it came on, counted from 1. */
  readonly connection: number
  readonly from: Path
  /** The recipients that were accepted, in their order. */
  readonly to: ReadonlyArray<Path>
  /** The bytes as the author meant them: after dot-unstuffing, without the final dot. */
  readonly content: Uint8Array
  /** True if they came by BDAT (RFC 3030) and not by DATA. */
  readonly chunked: boolean
  readonly tls: TlsInfo | undefined
  /** The user that was logged in. */
  readonly user: string | undefined
  /** When the last byte arrived, in milliseconds since 1970. */
  readonly receivedAt: number
}

/**
 * The destination of accepted messages.
 *
 * @since 0.1.0
 */
export type Mode =
  /** In memory, to be looked at. When `maxMessages` (default 100,000) are held, content is answered with 452. */
  | { readonly type: "keep"; readonly maxMessages?: number | undefined }
  /** Nowhere: they are counted, and digested if so asked (see `Digest`). The fastest. */
  | { readonly type: "discard"; readonly digest?: boolean | undefined }
  /** One file a message, `00000001.eml` and so on, in a directory that is made when missing. */
  | { readonly type: "directory"; readonly path: string }
