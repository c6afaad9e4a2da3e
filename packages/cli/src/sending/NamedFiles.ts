/**
 * The files that a run's options name: none is both read and written, or written twice.
 */
import type * as MailraceConfig from "@mailrace/config/MailraceConfig"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import { keepApart } from "../internal/files.ts"

/** The options that name files, apart from those of one command alone. */
export interface Options {
  readonly config?: string | undefined
  readonly configuration?: MailraceConfig.MailraceConfig | undefined
  readonly template?: string | undefined
  readonly textFile?: string | undefined
  readonly htmlFile?: string | undefined
  readonly attach?: ReadonlyArray<string> | undefined
  readonly suppress?: ReadonlyArray<string> | undefined
  readonly tlsCa?: string | undefined
  readonly dkimKey?: string | undefined
  readonly report?: string | undefined
  readonly reportHtml?: string | undefined
  readonly deliveries?: string | undefined
  readonly suppressAdd?: string | undefined
  readonly transcript?: string | undefined
}

/** Fails if a file that is read would be overwritten; `own` are the files that the command's own flags name. */
export const check = Effect.fnUntraced(function* (own: Readonly<Record<string, string | undefined>>, options: Options) {
  const path = yield* Path.Path
  const { configuration } = options
  const secrets =
    configuration === undefined
      ? []
      : secretFiles(configuration).map((file) => path.resolve(configuration.folder, file))
  yield* keepApart(
    {
      ...own,
      "--config": [...listOf(options.config), ...secrets],
      "--template": options.template,
      "--text-file": options.textFile,
      "--html-file": options.htmlFile,
      "--attach": options.attach,
      "--suppress": options.suppress,
      "--tls-ca": options.tlsCa,
      "--dkim-key": options.dkimKey
    },
    {
      "--report": options.report,
      "--report-html": options.reportHtml,
      "--deliveries": options.deliveries,
      "--suppress-add": appendsTo(options) ? undefined : options.suppressAdd,
      "--transcript": options.transcript
    }
  )
})

/** True if the addresses that are added go to a list that is read before. */
const appendsTo = ({ suppress = [], suppressAdd }: Options): boolean =>
  suppressAdd !== undefined && suppress.includes(suppressAdd)

const listOf = (file: string | undefined): ReadonlyArray<string> => (file === undefined ? [] : [file])

/** The files with passwords and keys. */
const secretFiles = ({ settings }: MailraceConfig.MailraceConfig): ReadonlyArray<string> =>
  [
    ...Object.values(settings.relay ?? {}).map(({ password }) => password),
    ...Object.values(settings.dkim ?? {}).map(({ key }) => key)
  ].flatMap((secret) => (secret !== undefined && "file" in secret ? [secret.file] : []))
