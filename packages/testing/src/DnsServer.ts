/**
 * A DNS server on loopback, to test resolving against: it knows the records that it is given, and can be slow, silent or
 * broken.
 *
 * A name that is not known does not exist (NXDOMAIN); a name without a record of the type that is asked for has none (NODATA).
 * It answers over UDP, up to 1,232 bytes.
 *
 * @example
 * ```ts
 * import * as DnsServer from "@mailrace/testing/DnsServer"
 * import * as Effect from "effect/Effect"
 * import { Resolver } from "node:dns"
 *
 * export const program = Effect.gen(function* () {
 *   const dns = yield* DnsServer.make({ records: { "mail.test": { A: ["127.0.0.1"] } } })
 *   const resolver = new Resolver()
 *   resolver.setServers([dns.address])
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.2.0
 */

import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createSocket, type RemoteInfo, type Socket } from "node:dgram"
import { addressBytes } from "./internal/addressBytes.ts"

/**
 * The records of a name (RFC 1035 §3.3). A text in TXT that is longer than 255 bytes goes in several pieces.
 *
 * @since 0.2.0
 */
export interface Records {
  readonly A?: ReadonlyArray<string> | undefined
  readonly AAAA?: ReadonlyArray<string> | undefined
  readonly CNAME?: string | undefined
  readonly MX?: ReadonlyArray<readonly [priority: number, exchange: string]> | undefined
  readonly PTR?: ReadonlyArray<string> | undefined
  readonly TXT?: ReadonlyArray<string> | undefined
  /** The failure in place of an answer: silence, or an error of the server. */
  readonly fault?: "silent" | "servfail" | "refused" | undefined
  /** How long the answer takes, in milliseconds. Defaults to 0. */
  readonly delayMs?: number | undefined
}

/**
 * Options of a DNS server.
 *
 * @since 0.2.0
 */
export interface Options {
  /** The records, by names in lower case without a dot at their end. */
  readonly records: { readonly [name: string]: Records }
  /** The time to live of all records, in seconds. Defaults to 300. */
  readonly ttl?: number | undefined
}

/**
 * A running DNS server.
 *
 * @since 0.2.0
 */
export interface DnsServer {
  /** As `127.0.0.1:port`. */
  readonly address: string
  /** The questions so far, as `TXT example.org`. */
  readonly questions: ReadonlyArray<string>
}

/**
 * Starts a server; when the scope closes, its port is free again.
 *
 * @since 0.2.0
 */
export const make = (options: Options): Effect.Effect<DnsServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly socket: Socket; readonly questions: Array<string> }>((resume) => {
      const socket = createSocket("udp4")
      const questions: Array<string> = []
      socket.on("message", (message, from) => answer(socket, message, from, options, questions))
      socket.bind(0, "127.0.0.1", () => resume(Effect.succeed({ socket, questions })))
    }),
    ({ socket }) => Effect.callback<void>((resume) => void socket.close(() => resume(Effect.void)))
  ).pipe(
    Effect.map(({ questions, socket }): DnsServer => ({ address: `127.0.0.1:${socket.address().port}`, questions }))
  )

type RecordType = "A" | "AAAA" | "CNAME" | "MX" | "PTR" | "TXT"

const numbers: { readonly [type in RecordType]: number } = { A: 1, CNAME: 5, PTR: 12, MX: 15, TXT: 16, AAAA: 28 }

const responseCodes = { servfail: 2, nxdomain: 3, refused: 5 } as const

const answer = (
  socket: Socket,
  message: Buffer,
  from: RemoteInfo,
  { records, ttl = 300 }: Options,
  questions: Array<string>
): void => {
  const { end, name } = readName(message, 12)
  const type = typeOf(message.readUInt16BE(end))
  questions.push(`${type ?? message.readUInt16BE(end)} ${name}`)
  const known = records[name.toLowerCase()]
  if (known?.fault === "silent") return
  const code = known === undefined ? responseCodes.nxdomain : known.fault === undefined ? 0 : responseCodes[known.fault]
  const data = code !== 0 || type === undefined ? [] : dataOf(known!, type)
  const header = Buffer.from(message.subarray(0, 12))
  // A response (QR) that is recursive (RD, RA), with one question and no further sections.
  header.writeUInt16BE(0x8180 | code, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(data.length, 6)
  header.writeUInt32BE(0, 8)
  const resources = data.map(([number, bytes]) => {
    const head = Buffer.alloc(12)
    // The name of the question, by its place (RFC 1035 §4.1.4).
    head.writeUInt16BE(0xc00c, 0)
    head.writeUInt16BE(number, 2)
    head.writeUInt16BE(1, 4)
    head.writeUInt32BE(ttl, 6)
    head.writeUInt16BE(bytes.length, 10)
    return Buffer.concat([head, bytes])
  })
  const response = Buffer.concat([header, message.subarray(12, end + 4), ...resources])
  const send = (): void => socket.send(response, from.port, from.address, () => {})
  if (known?.delayMs === undefined) return send()
  const timer = setTimeout(send, known.delayMs)
  socket.once("close", () => clearTimeout(timer))
}

const typeOf = (number: number): RecordType | undefined =>
  (Object.keys(numbers) as ReadonlyArray<RecordType>).find((type) => numbers[type] === number)

/** The data of each record; an alias stands for all types. */
const dataOf = (records: Records, type: RecordType): ReadonlyArray<readonly [number: number, data: Buffer]> => {
  const all = (data: ReadonlyArray<Buffer>) => data.map((one) => [numbers[type], one] as const)
  if (records.CNAME !== undefined) return [[numbers.CNAME, nameBytes(records.CNAME)]]
  switch (type) {
    case "A":
      return all((records.A ?? []).map(addressBytes))
    case "AAAA":
      return all((records.AAAA ?? []).map(addressBytes))
    case "MX":
      return all(
        (records.MX ?? []).map(([priority, exchange]) =>
          Buffer.concat([Buffer.from([priority >> 8, priority & 255]), nameBytes(exchange)])
        )
      )
    case "PTR":
      return all((records.PTR ?? []).map(nameBytes))
    case "TXT":
      return all((records.TXT ?? []).map(textBytes))
    case "CNAME":
      return []
  }
}

const readName = (message: Buffer, start: number): { readonly name: string; readonly end: number } => {
  const labels: Array<string> = []
  let at = start
  for (let length = message[at]!; length > 0; length = message[at]!) {
    labels.push(message.toString("latin1", at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join("."), end: at + 1 }
}

const nameBytes = (name: string): Buffer =>
  Buffer.concat([
    ...name
      .replace(/\.$/, "")
      .split(".")
      .filter((label) => label !== "")
      .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0])
  ])

const textBytes = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  const pieces: Array<Buffer> = []
  for (let at = 0; at === 0 || at < bytes.length; at += 255) {
    const piece = bytes.subarray(at, at + 255)
    pieces.push(Buffer.from([piece.length]), piece)
  }
  return Buffer.concat(pieces)
}
