/**
 * The idempotency key under which `send --durable` enqueues a message, which records the message's position.
 *
 * A key such as `send:5f0c9a1e:12:77aa01fe` holds the series of the message, its position in the input, and its
 * fingerprint. The series is a hash of the path under which its input was first read, with its number after a `+` if the
 * same path was sent more than once on purpose. The position is the entry's index, with its line after an `@` if that is
 * not the next number, or with its file after a `=`. The first message of a series also carries the input's path,
 * percent-encoded after a `<`; keys without a path are older, or are not the first.
 */
import { createHash } from "node:crypto"

/** Messages of one input, sent once. */
export interface SeriesName {
  /** Eight hex digits of the path's hash. */
  readonly source: string
  /** From 1. */
  readonly number: number
}

/** The parts of a key. */
export interface MarkKey {
  readonly series: SeriesName
  readonly index: number
  /** The line, from 1, where the input has lines. */
  readonly line: number
  /** The file's name, where the input is a file of one message or a folder of them. */
  readonly file: string | undefined
  readonly fingerprint: number
  /** The input's path, where the key bears it. */
  readonly path: string | undefined
}

/** The hash that stands for a path. */
export const sourceOf = (path: string): string => createHash("sha256").update(path).digest("hex").slice(0, 8)

/** Writes a key. */
export const format = ({ file, fingerprint, index, line, path, series }: MarkKey): string => {
  const number = series.number === 1 ? "" : `+${series.number}`
  const detail = file !== undefined ? `=${file}` : line === index + 1 ? "" : `@${line}`
  const name = path === undefined ? "" : `<${encodeURIComponent(path)}`
  return `send:${series.source}${number}:${index}${detail}:${fingerprint.toString(16).padStart(8, "0")}${name}`
}

/** The prefix of every key. */
export const prefix = "send:"

/** Reads a key; `undefined` when `send --durable` did not write it. */
export const parse = (key: string | undefined): MarkKey | undefined => {
  const parts = key === undefined ? null : pattern.exec(key)
  if (parts === null) return undefined
  const index = Number(parts[3])
  return {
    series: { source: parts[1]!, number: parts[2] === undefined ? 1 : Number(parts[2]) },
    index,
    line: parts[4] === undefined ? index + 1 : Number(parts[4]),
    file: parts[5],
    fingerprint: Number.parseInt(parts[6]!, 16),
    path: parts[7] === undefined ? undefined : decoded(parts[7])
  }
}

const pattern = /^send:([0-9a-f]{8})(?:\+(\d+))?:(\d+)(?:@(\d+)|=(.*))?:([0-9a-f]{8})(?:<([^:<]*))?$/s

/** A key of another program may look like one of these. */
const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
