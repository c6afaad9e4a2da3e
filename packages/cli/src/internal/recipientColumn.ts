/**
 * Finds the CSV column that holds the recipients.
 *
 * `to` is preferred to `email`, in any case. If the header has neither, and neither `--to` nor the template names a
 * recipient, the names that other programs use count: Mailchimp (`Email Address`), HubSpot (`Email`), Google Contacts
 * (`E-mail 1 - Value`), Outlook (`E-mail Address`, in the user's language), Thunderbird (`Primary Email`), LDAP (`mail`).
 * Case, blanks, accents and punctuation are ignored. Secondary addresses (`E-mail 2 Address`) never count. Two matching
 * columns are ambiguous, and the search fails with both names.
 */
import * as Result from "effect/Result"

/** The options for finding the column. */
export interface Search {
  /** The column that the user named. */
  readonly named?: string | undefined
  /** True if the names that other programs use count. */
  readonly takesForeign: boolean
}

/** Returns the column's position, `undefined` if there is none. Fails with the candidates if there are several. */
export const find = (
  names: ReadonlyArray<string>,
  { named, takesForeign }: Search
): Result.Result<number | undefined, ReadonlyArray<string>> => {
  const positionOf = (name: string): number | undefined => {
    const position = names.findIndex((one) => one.toLowerCase() === name.toLowerCase())
    return position === -1 ? undefined : position
  }
  if (named !== undefined) return Result.succeed(positionOf(named.trim()))
  const own = positionOf("to") ?? positionOf("email")
  if (own !== undefined || !takesForeign) return Result.succeed(own)
  const candidates = names.flatMap((name, position) => (foreignNames.has(essence(name)) ? [position] : []))
  return candidates.length > 1
    ? Result.fail(candidates.map((position) => names[position]!))
    : Result.succeed(candidates[0])
}

/** A name without case, blanks, punctuation and accents, as in `emailaddress` for `E-Mail Address`. */
const essence = (name: string): string =>
  name
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/[^\p{Letter}\p{Number}]/gu, "")

/** As the programs above write them, by language. */
const foreignNames: ReadonlySet<string> = new Set(
  [
    ["email", "e-mail", "mail", "email address", "mail address", "primary email", "primary email address"],
    ["e-mail 1 - value", "email 1", "email 1 address", "recipient email", "recipient email address"],
    ["E-Mail-Adresse", "Mailadresse", "Primäre E-Mail-Adresse"],
    ["Adresse e-mail", "Adresse mail", "Adresse de messagerie", "Adresse électronique", "Courriel"],
    ["Correo", "Correo electrónico", "Dirección de correo electrónico", "Dirección de correo"],
    ["Indirizzo e-mail", "Indirizzo email", "Indirizzo di posta elettronica", "Posta elettronica"],
    ["Endereço de e-mail", "Endereço de correio eletrónico", "Correio eletrónico", "Correio eletrônico"],
    ["E-mailadres", "E-postadress", "E-post", "E-postadresse", "E-mailadresse", "Sähköposti", "Sähköpostiosoite"],
    ["Adres e-mail", "Adres email", "E-mailová adresa", "E-mail cím", "Adresă de e-mail", "E-posta", "E-posta Adresi"],
    ["Электронная почта", "Адрес электронной почты", "Эл. почта", "Електронна пошта", "Адреса електронної пошти"],
    ["Ηλεκτρονικό ταχυδρομείο", "Διεύθυνση ηλεκτρονικού ταχυδρομείου"],
    ["メールアドレス", "メール", "電子メール", "電子メール アドレス", "Eメール"],
    ["电子邮件", "电子邮件地址", "电子邮箱", "邮箱", "邮箱地址", "電子郵件", "電子郵件地址"],
    ["이메일", "이메일 주소", "전자 메일", "전자 메일 주소", "البريد الإلكتروني", "דואר אלקטרוני"]
  ]
    .flat()
    .map(essence)
)
