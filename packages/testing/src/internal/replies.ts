/** The words of the server, made once for a server with and without enhanced status codes (RFC 2034). */

/** Makes every fixed reply. */
export const make = (name: string, enhanced: boolean) => {
  const say = (code: number, status: string, text: string) => `${code} ${enhanced ? `${status} ` : ""}${text}\r\n`
  return {
    greeting: `220 ${name} ESMTP test server\r\n`,
    helo: `250 ${name}\r\n`,
    startTls: say(220, "2.0.0", "ready to start TLS"),
    goodbye: say(221, "2.0.0", "goodbye"),
    loggedIn: say(235, "2.7.0", "authentication succeeded"),
    sender: say(250, "2.1.0", "sender OK"),
    recipient: say(250, "2.1.5", "recipient OK"),
    accepted: say(250, "2.0.0", "message accepted"),
    chunk: say(250, "2.0.0", "chunk taken"),
    ok: say(250, "2.0.0", "OK"),
    help: say(214, "2.0.0", "see RFC 5321"),
    cannotVerify: say(252, "2.0.0", "cannot verify, but will take the message"),
    go: "354 end with CRLF.CRLF\r\n",
    tooManyTransactions: say(421, "4.7.0", "too many transactions on this connection"),
    full: say(452, "4.3.1", "the mailbox is full"),
    tooManyRecipients: say(452, "4.5.3", "too many recipients"),
    unknown: say(500, "5.5.2", "command not recognised"),
    lineTooLong: say(500, "5.5.2", "line too long"),
    bareLf: say(500, "5.5.2", "line not ended by CRLF"),
    syntax: say(501, "5.5.4", "bad arguments"),
    badSender: say(501, "5.1.7", "bad sender address"),
    badRecipient: say(501, "5.1.3", "bad recipient address"),
    authCancelled: say(501, "5.7.0", "authentication cancelled"),
    badBase64: say(501, "5.5.2", "bad base64"),
    notImplemented: say(502, "5.5.1", "command not implemented"),
    outOfOrder: say(503, "5.5.1", "bad sequence of commands"),
    aheadOfReply: say(503, "5.5.1", "bad sequence of commands - pipelined after end of DATA"),
    nestedMail: say(503, "5.5.1", "sender already given"),
    unknownMechanism: say(504, "5.5.4", "mechanism not offered"),
    needTls: say(530, "5.7.0", "STARTTLS comes first"),
    needAuth: say(530, "5.7.0", "authentication required"),
    badCredentials: say(535, "5.7.8", "credentials refused"),
    needTlsForAuth: say(538, "5.7.11", "encryption required for authentication"),
    tooLarge: say(552, "5.3.4", "message too large"),
    needUtf8: say(553, "5.6.7", "address needs SMTPUTF8"),
    earlyContent: say(554, "5.5.0", "content came before 354"),
    noRecipients: say(554, "5.5.1", "no valid recipients"),
    noService: say(554, "5.3.2", "no service here"),
    unknownParameter: say(555, "5.5.4", "parameter not offered")
  }
}

export type Replies = ReturnType<typeof make>
