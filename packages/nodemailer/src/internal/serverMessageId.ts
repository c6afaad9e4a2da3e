/**
 * The Message-ID that a relay gave a message in place of its own, from the final reply.
 *
 * Microsoft 365 names it between angle brackets. Amazon SES names its local part; the domain is that of the region, which the
 * relay's name holds. nodemailer reads the same two.
 */

/** The Message-ID with its angle brackets; `undefined` if the reply names none. */
export const read = (response: string, host: string): string | undefined => {
  const outlook = /^250 2\.0\.0 OK (<[^\s<>]+\.prod\.outlook\.com>)/i.exec(response)?.[1]
  if (outlook !== undefined) return outlook
  const [, local] = /^250 OK ([\da-f]+(?:-[\da-f]+)+)$/i.exec(response.trim()) ?? []
  const region = regionOf(host)
  if (local === undefined || region === undefined) return undefined
  return `<${local.toLowerCase()}@${region === "us-east-1" ? "email" : region}.amazonses.com>`
}

/** The region in the name of an endpoint of Amazon SES, as `email-smtp.eu-west-1.amazonaws.com`. */
const regionOf = (host: string): string | undefined => {
  const labels = host.toLowerCase().replace(/\.$/, "").split(".")
  if (!/^(?:amazonaws|awsapps)\.com$/.test(labels.slice(-2).join("."))) return undefined
  return labels.slice(0, -2).find((label) => /^[a-z]{2}(?:-[a-z]+)+-\d+$/.test(label))
}
