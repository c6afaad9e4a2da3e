/**
 * Finds the column of a CSV that holds the recipients.
 *
 * `to` goes before `email`, whatever their case. Where neither is there and nothing else says who a mail is for, a column
 * counts that other programs give to addresses: Mailchimp (`Email Address`), HubSpot (`Email`), Google Contacts (`E-mail
 * 1 - Value`), Outlook (`E-mail Address`, in the language of the user), Thunderbird (`Primary Email`), LDAP (`mail`).
 * Case, blanks and punctuation do not count. Second addresses (`E-mail 2 Address`) are never taken, and of two such
 * columns neither is.
 */
import * as Result from "effect/Result"

/** Where the recipients' column is looked for. */
export interface Search {
  /** The column that the user names. */
  readonly named?: string | undefined
  /** Whether the columns of other programs count. */
  readonly takesForeign: boolean
}

/** The position of the recipients' column, `undefined` where there is none. Fails with the columns that it may be. */
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

/** By language, as the programs above write them there. */
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
