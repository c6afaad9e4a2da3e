/**
 * Parts that flags add to every message besides subject and body: `--header`, `--reply-to`, `--attach` and
 * `--list-unsubscribe`. Merge fields are filled in everywhere but in files.
 *
 * A template keeps its own files, and its own headers unless a flag gives the same name. A line's own parts override both.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as AttachmentFile from "mailrace/AttachmentFile"
import type * as Template from "mailrace/Template"
import { CommandError } from "../CommandError.ts"

export interface Options {
  /** Header fields, such as `X-Campaign: spring`. */
  readonly header?: ReadonlyArray<string> | undefined
  readonly replyTo?: string | undefined
  /** Files named by the user, in any folder. */
  readonly attach?: ReadonlyArray<string> | undefined
  /** An `https:` address, a `mailto:` address, or one of each. */
  readonly listUnsubscribe?: ReadonlyArray<string> | undefined
}

/** The parts of a template that the flags give. */
export type AddedParts = Partial<Pick<Template.Source, "headers" | "replyTo" | "attachments" | "listUnsubscribe">>

/** Reads the flags and the files that they name. */
export const read = Effect.fnUntraced(function* (options: Options) {
  const { attach = [], header = [], listUnsubscribe = [], replyTo } = options
  const headers = yield* Effect.fromResult(readHeaders(header))
  const unsubscribe = yield* Effect.fromResult(readListUnsubscribe(listUnsubscribe))
  const attachments = yield* Effect.forEach(attach, readFile)
  return {
    ...(header.length === 0 ? {} : { headers }),
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(attachments.length === 0 ? {} : { attachments }),
    ...(unsubscribe === undefined ? {} : { listUnsubscribe: unsubscribe })
  } satisfies AddedParts
})

/** Returns true if no flag adds anything. */
export const areEmpty = (parts: AddedParts): boolean => Object.keys(parts).length === 0

/** Adds the parts to a template's source. */
export const addTo = <A extends AddedParts>(source: A, { attachments = [], headers = {}, ...rest }: AddedParts): A => {
  const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
  const kept = Object.entries(source.headers ?? {}).filter(([name]) => !names.has(name.toLowerCase()))
  const files = [...(source.attachments ?? []), ...attachments]
  return {
    ...source,
    ...rest,
    ...(source.headers === undefined && names.size === 0
      ? {}
      : { headers: { ...Object.fromEntries(kept), ...headers } }),
    ...(files.length === 0 ? {} : { attachments: files })
  }
}

type Headers = NonNullable<Template.Source["headers"]>

const readHeaders = (texts: ReadonlyArray<string>): Result.Result<Headers, CommandError> => {
  const headers = new Map<string, { readonly name: string; readonly values: Array<string> }>()
  for (const text of texts) {
    const parts = /^([!-9;-~]+)[ \t]*:([^]*)$/.exec(text)
    if (parts === null) {
      return Result.fail(
        new CommandError({
          problem: `--header ${JSON.stringify(text)} has no name before a colon`,
          remedy: 'write it as --header "X-Campaign: spring"'
        })
      )
    }
    const [, name = "", value = ""] = parts
    const key = name.toLowerCase()
    const flag = flagsOfHeaders.get(key)
    if (flag !== undefined) {
      return Result.fail(
        new CommandError({
          problem: `--header cannot give ${name}, which has a flag of its own`,
          remedy: `use ${flag}`
        })
      )
    }
    const known = headers.get(key)
    if (known === undefined) headers.set(key, { name, values: [value.trim()] })
    else known.values.push(value.trim())
  }
  return Result.succeed(
    Object.fromEntries(
      Array.from(headers.values(), ({ name, values }) => [name, values.length === 1 ? values[0]! : values])
    )
  )
}

const flagsOfHeaders: ReadonlyMap<string, string> = new Map([
  ["from", "--from"],
  ["to", "--to"],
  ["subject", "--subject"],
  ["reply-to", "--reply-to"],
  ["list-unsubscribe", "--list-unsubscribe"],
  ["list-unsubscribe-post", "--list-unsubscribe, which offers one-click with an https: address"]
])

const readListUnsubscribe = (
  addresses: ReadonlyArray<string>
): Result.Result<Template.Source["listUnsubscribe"], CommandError> => {
  if (addresses.length === 0) return Result.succeed(undefined)
  const mailtos = addresses.filter((address) => /^mailto:/i.test(address))
  const urls = addresses.filter((address) => !/^mailto:/i.test(address))
  if (mailtos.length > 1 || urls.length > 1) {
    return Result.fail(
      new CommandError({
        problem: "--list-unsubscribe takes one https: address and one mailto: address",
        remedy: "leave out the others"
      })
    )
  }
  const [url] = urls
  if (url !== undefined && !/^(?:https?:|\{\{)/i.test(url)) {
    return Result.fail(
      new CommandError({
        problem: `--list-unsubscribe ${url} is neither a web address nor a mailto: address`,
        remedy: 'write it as "https://example.org/u/{{id}}" or "mailto:leave@example.org?subject={{id}}"'
      })
    )
  }
  return Result.succeed({ url, mailto: mailtos[0] })
}

/** Reads a file now, so that no message is sent if it is not there. Devices and files of the kernel may have no end. */
const readFile = Effect.fnUntraced(function* (file: string) {
  const path = yield* Path.Path
  const files = yield* FileSystem.FileSystem
  const content = yield* Effect.mapError(
    AttachmentFile.read(files, "--attach", file, AttachmentFile.policy("anywhere")),
    ({ reason }) => new CommandError({ problem: reason.message })
  )
  return { filename: path.basename(file), content }
})
