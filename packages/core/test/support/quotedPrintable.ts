/** The plain reading of quoted-printable (RFC 2045 §6.7), independent of what wrote it. */
export const decode = (encoded: string): string =>
  Buffer.from(
    encoded
      .replace(/=\r\n/g, "")
      .replace(/=([0-9A-F]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16))),
    "latin1"
  ).toString()
