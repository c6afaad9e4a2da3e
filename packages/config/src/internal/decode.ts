/**
 * A value as settings, or its faults in words. The JSON Schema says which setting may stand where, so that each description is
 * written once.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { nearest } from "mailrace/NearestName"
import { jsonSchema, Settings } from "../ConfigSchema.ts"
import type { Path } from "./source.ts"

/** A fault of the setting at a path. */
export interface SettingFault {
  readonly path: Path
  readonly problem: string
  readonly remedy: string
}

interface Node {
  readonly properties?: { readonly [name: string]: Node }
  readonly additionalProperties?: Node | boolean
  readonly items?: Node
  readonly anyOf?: ReadonlyArray<Node>
  readonly allOf?: ReadonlyArray<{ readonly description?: string }>
  readonly description?: string
}

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** Reads settings; the faults are in no order. */
export const decode = (value: unknown): Result.Result<Settings, ReadonlyArray<SettingFault>> => {
  const decoded = Schema.decodeUnknownResult(Settings)(value, { errors: "all", onExcessProperty: "error" })
  if (Result.isSuccess(decoded)) return Result.succeed(decoded.success)
  const issues = format(decoded.failure.issue).issues.map(({ message, path = [] }) => ({ message, path: path as Path }))
  const isUnknown = ({ message }: { readonly message: string }): boolean => message === "Expected no excess property"
  const faults = new Map<string, SettingFault>()
  for (const issue of issues) {
    const { path } = issue
    const above = path.slice(0, -1)
    if (isSecret(above)) {
      for (const fault of secretFaults(above, valueAt(value, above))) faults.set(textOf(fault.path), fault)
      continue
    }
    // A name that is not known is likely the one that is missing.
    const isMisspelt = issues.some((one) => isUnknown(one) && textOf(one.path.slice(0, -1)) === textOf(above))
    if (issue.message === "Missing key" && isMisspelt) continue
    const fault = isUnknown(issue)
      ? unknown(path)
      : issue.message === "Missing key"
        ? missing(path)
        : unusable(path, valueAt(value, path))
    faults.set(textOf(path), fault)
  }
  return Result.fail([...faults.values()])
}

/** A path as in TOML: `relay.ses.rate[1]`. */
export const textOf = (path: Path): string =>
  path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part + 1}]`
    const name = /^[\w-]+$/.test(part) ? part : JSON.stringify(part)
    return text === "" ? name : `${text}.${name}`
  }, "")

const unknown = (path: Path): SettingFault => {
  const known = namesIn(nodeAt(path.slice(0, -1)))
  const meant = nearest(String(path.at(-1)), known)
  return {
    path,
    problem: `${textOf(path)} is not a setting`,
    remedy: meant === undefined ? `write one of ${known.join(", ")}` : `write ${meant} if that is meant`
  }
}

/** True if a secret's place belongs there: a table with `env` or `file`. */
const isSecret = (path: Path): boolean => {
  const names = namesIn(nodeAt(path))
  return names.length === 2 && names.includes("env") && names.includes("file")
}

/** The Schema says of each of the two forms why the table is not that one. */
const secretFaults = (path: Path, value: unknown): ReadonlyArray<SettingFault> => {
  const names = Object.keys(value as object)
  const strangers = names.filter((name) => name !== "env" && name !== "file")
  if (strangers.length > 0) return strangers.map((name) => unknown([...path, name]))
  if (names.length === 2)
    return [{ path, problem: `${textOf(path)} has both env and file`, remedy: "keep the one that holds the secret" }]
  const [name] = names
  const remedy = `say ${descriptionAt(path)}`
  return name === undefined
    ? [{ path, problem: `${textOf(path)} has neither env nor file`, remedy }]
    : [
        {
          path: [...path, name],
          problem: `${textOf([...path, name])} cannot be ${kindOf(valueAt(value, [name]))}`,
          remedy
        }
      ]
}

const missing = (path: Path): SettingFault => ({
  path,
  problem: `${textOf(path)} is missing`,
  remedy: `add ${String(path.at(-1))}: ${descriptionAt(path)}`
})

const unusable = (path: Path, value: unknown): SettingFault => {
  const description = descriptionAt(path)
  if (typeof value === "string" && description.startsWith("where the "))
    return { path, problem: `${textOf(path)} stands in clear`, remedy: `say ${description}` }
  // A text where a table belongs may be a URL with its password, or a key.
  const kind = typeof value === "string" && isTable(nodeAt(path)) ? "a text" : kindOf(value)
  return { path, problem: `${textOf(path)} cannot be ${kind}`, remedy: `give ${description}` }
}

const kindOf = (value: unknown): string => {
  if (Array.isArray(value)) return "a list"
  if (typeof value === "object" && value !== null) return "a table"
  const text = JSON.stringify(value) ?? "nothing"
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

const isTable = ({ additionalProperties, properties }: Node): boolean =>
  properties !== undefined || additionalProperties !== undefined

const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((above, part) => (above as { readonly [name: string]: unknown } | undefined)?.[part], value)

let root: Node | undefined

const nodeAt = (path: Path): Node =>
  path.reduce<Node>((node, part) => childOf(node, part) ?? {}, (root ??= jsonSchema() as Node))

const childOf = (node: Node, part: string | number): Node | undefined => {
  const own = typeof part === "number" ? node.items : node.properties?.[part]
  if (own !== undefined) return own
  if (typeof node.additionalProperties === "object") return node.additionalProperties
  for (const one of node.anyOf ?? []) {
    const child = childOf(one, part)
    if (child !== undefined) return child
  }
  return undefined
}

const namesIn = (node: Node): ReadonlyArray<string> => [
  ...Object.keys(node.properties ?? {}),
  ...(node.anyOf ?? []).flatMap(namesIn)
]

/** The description of a setting, or of the list or table that it is in. */
const descriptionAt = (path: Path): string => {
  for (let length = path.length; length > 0; length--) {
    const { allOf = [], description } = nodeAt(path.slice(0, length))
    const words = description ?? allOf.find((one) => one.description !== undefined)?.description
    if (words !== undefined) return words
  }
  return "tables of settings"
}
