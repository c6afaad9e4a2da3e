/** The words of the server, made once for a server with and without enhanced status codes (RFC 2034). */

/** Makes every fixed reply. */
export const make = (name: string, enhanced: boolean) => {
  const line = (code: number, status: string, text: string) => `${code} ${enhanced ? `${status} ` : ""}${text}\r\n`
  return {
    greeting: `220 ${name} ESMTP test server\r\n`,
    helo: `250 ${name}\r\n`,
    startTls: line(220, "2.0.0", "ready to start TLS"),
    goodbye: line(221, "2.0.0", "goodbye"),
    loggedIn: line(235, "2.7.0", "authentication succeeded"),
    sender: line(250, "2.1.0", "sender OK"),
    recipient: line(250, "2.1.5", "recipient OK"),
    accepted: line(250, "2.0.0", "message accepted"),
    chunk: line(250, "2.0.0", "chunk taken"),
    ok: line(250, "2.0.0", "OK"),
    help: line(214, "2.0.0", "see RFC 5321"),
    cannotVerify: line(252, "2.0.0", "cannot verify, but will take the message"),
    go: "354 end with CRLF.CRLF\r\n",
    tooManyTransactions: line(421, "4.7.0", "too many transactions on this connection"),
    full: line(452, "4.3.1", "the mailbox is full"),
    tooManyRecipients: line(452, "4.5.3", "too many recipients"),
    unknown: line(500, "5.5.2", "command not recognised"),
    lineTooLong: line(500, "5.5.2", "line too long"),
    bareLf: line(500, "5.5.2", "line not ended by CRLF"),
    syntax: line(501, "5.5.4", "bad arguments"),
    badSender: line(501, "5.1.7", "bad sender address"),
    badRecipient: line(501, "5.1.3", "bad recipient address"),
    authCancelled: line(501, "5.7.0", "authentication cancelled"),
    badBase64: line(501, "5.5.2", "bad base64"),
    notImplemented: line(502, "5.5.1", "command not implemented"),
    outOfOrder: line(503, "5.5.1", "bad sequence of commands"),
    aheadOfReply: line(503, "5.5.1", "bad sequence of commands - pipelined after end of DATA"),
    nestedMail: line(503, "5.5.1", "sender already given"),
    unknownMechanism: line(504, "5.5.4", "mechanism not offered"),
    needTls: line(530, "5.7.0", "STARTTLS comes first"),
    needAuth: line(530, "5.7.0", "authentication required"),
    badCredentials: line(535, "5.7.8", "credentials refused"),
    needTlsForAuth: line(538, "5.7.11", "encryption required for authentication"),
    tooLarge: line(552, "5.3.4", "message too large"),
    needUtf8: line(553, "5.6.7", "address needs SMTPUTF8"),
    earlyContent: line(554, "5.5.0", "content came before 354"),
    noRecipients: line(554, "5.5.1", "no valid recipients"),
    noService: line(554, "5.3.2", "no service here"),
    unknownParameter: line(555, "5.5.4", "parameter not offered")
  }
}

export type Replies = ReturnType<typeof make>
