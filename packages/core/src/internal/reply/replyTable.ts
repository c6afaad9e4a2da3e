/**
 * The replies of servers and providers, as rows. The first row that fits decides; `ReplyMeaning` reads them.
 *
 * Each row names whose words it knows. The statuses are those of RFC 3463, RFC 5248 and RFC 7372. Where one reply fits two
 * subjects the more certain comes first: a rate before a limit of connections, because both say "too many"; a limit before a
 * login, because both are given at AUTH; what blames the client or the sender before what blames the address, because a relay
 * says 5.1.1 to either.
 */

/**
 * Where in a session a reply was given; `final` is the reply to the content.
 *
 * @since 0.1.0
 */
export type Place = "greeting" | "ehlo" | "starttls" | "auth" | "mail" | "rcpt" | "data" | "final"

/**
 * The subject of a refusal.
 *
 * - `recipient`: the address or its mailbox
 * - `recipients`: one recipient too many for a transaction; the rest goes in the next
 * - `sender`: the envelope's or the header's sender
 * - `message`: the content, or a policy about it
 * - `size`: the message is too large
 * - `greylisted`: the relay wants to see the same message again later
 * - `rate`: too much in a time; slower, or later
 * - `quota`: the sending quota of the account is used up for hours
 * - `messagesPerSession`: this session has carried enough; another takes the message
 * - `connections`: too many are open; fewer take the message
 * - `client`: this client's name, address or right to relay
 * - `login`: the relay demands a login
 * - `tls`: the relay demands TLS
 * - `mechanism`: the login's mechanism cannot be used; another may be
 * - `credentials`: the relay refuses the user, the password or the account
 * - `relay`: the relay cannot do its work now, or says no more than that
 *
 * @since 0.1.0
 */
export type About =
  | "recipient"
  | "recipients"
  | "sender"
  | "message"
  | "size"
  | "greylisted"
  | "rate"
  | "quota"
  | "messagesPerSession"
  | "connections"
  | "client"
  | "login"
  | "tls"
  | "mechanism"
  | "credentials"
  | "relay"

/**
 * Facts that the caller knows beside the reply.
 *
 * @since 0.1.0
 */
export interface Known {
  /** True if the session has carried a message. */
  readonly hasCarried?: boolean | undefined
  /** True if the relay accepted a recipient of this transaction. */
  readonly hasAccepted?: boolean | undefined
}

/** A kind of reply. What it leaves out fits any. */
export interface Row {
  readonly about: About
  readonly places?: ReadonlyArray<Place>
  /** The codes, or their first digits. */
  readonly codes?: ReadonlyArray<number> | "4" | "5" | "45"
  readonly status?: RegExp
  /** Tried on the first words. */
  readonly words?: RegExp
  /** Tried on the whole text: what it fits is another row's. */
  readonly unless?: RegExp
  readonly when?: (known: Known) => boolean
  /** Where it differs from what the code says. */
  readonly isTransient?: boolean
  readonly isGone?: boolean
  readonly remedy?: string
  readonly retryAfter?: number
  /** The document or server that the row comes from. */
  readonly source: string
}

const session: ReadonlyArray<Place> = ["mail", "rcpt", "data", "final"]
const envelope: ReadonlyArray<Place> = ["mail", "rcpt", "data"]
const start: ReadonlyArray<Place> = ["greeting", "ehlo", "starttls", "auth"]

const hour = 3_600_000

const inTime =
  /\b(?:per|a|this|each|every|in the last) (?:second|minute|hour|day|month)\b|\b(?:hourly|daily|monthly)\b|\brate\b/i
const remedies = {
  messages: "set `maxMessages` to what the relay allows on one connection",
  quota: "wait until the account's quota fills again, or ask the provider for a larger one",
  login: "give a user and a password (smtp://user:password@host, or `auth`)",
  tls: "use tls=required (STARTTLS) or smtps:// (implicit TLS)",
  name: "set `name` to this machine's full host name, or to its address in brackets such as [192.0.2.1]",
  reverse:
    "give this machine's address a name in the DNS that leads back to it (a PTR record), or send through a relay that knows you",
  listed: "look up why this machine's address is listed, and have it taken off; or send through another relay",
  relaying:
    "log in (`auth`) if the relay has accounts, or have its operator let this machine relay; the address may well be right",
  sender: "use a sender that this relay accepts for your account (verify the address or the domain with the provider)",
  account: "read the relay's reply: the account is limited or closed, which the provider can tell more about",
  policy: "read the relay's reason: it names a policy, a filter or a format that the message violates",
  full: "send again in a few days; the mailbox is full",
  rule: "read the relay's reason: a policy refuses the sender, this client or the message; the address goes off the list only if the reply blames it",
  size: "make the attachments smaller, or link to them",
  resources: "send again later; the relay is short of space or of another resource, or has trouble of its own",
  allowed: "have this machine's address allowed with the provider",
  credentials: "check the user name and the password or token, and which login the provider wants",
  application:
    "make an application password (or a token) with the provider, and use it in place of the account's password",
  disabled: "have SMTP AUTH enabled for the account, or log in with a token (`auth.token`)",
  mechanism: "choose another mechanism with `auth.mechanism`"
}

/** The rows, in the order in which they are tried. */
export const rows: ReadonlyArray<Row> = [
  // Quotas that are used up for hours, and rates that are too high.
  {
    about: "quota",
    places: session,
    codes: "45",
    words:
      /\b(?:daily|24.hours?|per day|this day|monthly|per month)\b.{0,50}\b(?:quota|limit|exceeded|reached)\b|\b(?:quota|limit|exceeded|reached)\b.{0,50}\b(?:daily|per day|24.hours?|per month)\b|\bcredits? exceeded\b|\bSubmissionQuotaExceeded|\bmessag\w+ limits?\b|\b(?:message count|cumulative size|sending) quota exceeded\b/i,
    isTransient: true,
    retryAfter: hour,
    remedy: remedies.quota,
    source:
      "Gmail 550 5.4.5, SES 454 Daily message quota exceeded, Exchange Online 550 5.1.90, 554 5.2.0 SubmissionQuotaExceeded, SendGrid 451 messaging limits, cbpolicyd"
  },
  {
    about: "quota",
    codes: "5",
    places: session,
    status: /^5\.4\.5$|^5\.1\.90$|^5\.2\.12[0-9]$/,
    isTransient: true,
    retryAfter: hour,
    remedy: remedies.quota,
    source: "Gmail 5.4.5, Exchange Online 5.1.90, 5.2.121, 5.2.122"
  },
  {
    about: "quota",
    places: ["auth"],
    codes: "45",
    words: /\bcredits? exceeded\b|\bquota\b/i,
    isTransient: true,
    retryAfter: hour,
    remedy: remedies.quota,
    source: "SendGrid 451 Authentication failed: Maximum credits exceeded"
  },
  {
    about: "greylisted",
    places: session,
    codes: [450, 451],
    words: /gr[ea]y-?\s?list/i,
    remedy: "send again in some minutes; the relay puts off senders that it does not know yet (greylisting)",
    source: "Postgrey, Exim, Rspamd (RFC 6647)"
  },
  {
    about: "rate",
    places: [...start, ...session],
    codes: "4",
    words:
      /\b(?:too many|too much|maximum|max|limit|exceed\w*)\b.{0,60}\b(?:per (?:second|minute|hour)|this hour|hourly|(?:sending|submission|message|receiving) rate|rate limit)\b|\b(?:sending|submission|message) rate\b|\bper (?:second|minute|hour) limit\b|\btoo (?:many (?:login|auth\w*) |frequent|much mail|fast|quickly)|\btoo many recipients from\b|\bauth(?:entication)? commands from\b|\bconnection rate\b|\bunusual rate\b/i,
    source:
      "SES 454, SendGrid 452, Postfix anvil 450 4.7.1, Gmail 454 4.7.0 Too many login attempts, 450 4.7.28, Exchange 421 4.4.2, Sendmail 421 4.3.2"
  },
  {
    about: "rate",
    places: ["greeting", "ehlo", ...session],
    codes: "5",
    words:
      /\btoo many (?:e-?mails|messages|mails|requests)\b.{0,20}\bper (?:second|minute|hour)\b|\b(?:sending|submission|message) rate (?:limit )?(?:is )?exceeded\b|\brate limit exceeded\b|\b(?:too many|maximum|max|limit|exceed\w*)\b.{0,60}\bper (?:second|minute|hour)\b|\bfrequency limited\b|\bunusual rate\b/i,
    isTransient: true,
    source:
      "Mailtrap 550 5.7.0 too many emails per second, cPanel 550 max emails per hour, Tencent 550 Connection frequency limited"
  },
  {
    about: "rate",
    places: session,
    codes: "5",
    status: /^5\.7\.28$/,
    isTransient: true,
    source: "RFC 5248's registry: mail flood detected"
  },

  // Sessions: how many, and how much on each.
  {
    about: "messagesPerSession",
    places: session,
    codes: "45",
    isTransient: true,
    words:
      /\b(?:too many|maximum|max|limit)\b.{0,40}\b(?:messages?|e?-?mails?|transactions?)\b.{0,20}\b(?:session|connection)\b|\b(?:session|connection)\b.{0,20}\b(?:messages?|e?-?mails?) (?:limit|exceeded)\b|\btoo many (?:messages sent$|non-?mail commands\b)/i,
    remedy: remedies.messages,
    source: "Stalwart 452 4.4.5, Exim 421 and 554, Yahoo 421, Comcast 452, OpenSMTPD 452 4.5.3 Too many messages sent"
  },
  {
    about: "messagesPerSession",
    places: session,
    codes: [421],
    words: /\b(?:too many|maximum|max|limit)\b.{0,40}\b(?:messages?|mails?|transactions?)\b/i,
    remedy: remedies.messages,
    source: "421 ends the session, so that it need not say which messages it counts"
  },
  {
    about: "connections",
    codes: [432],
    status: /^4\.3\.2$/,
    source: "Exchange Online: Concurrent connections limit exceeded; sender thread limit exceeded"
  },
  {
    about: "connections",
    codes: "4",
    words:
      /\b(?:too many|concurrent|simultaneous|maximum|max)\b.{0,40}\b(?:connections?|sessions?)\b|\bconnections?\b.{0,20}\b(?:limit|exceeded)\b|\bthread limit\b|\bserver ports are busy\b/i,
    source: "Postfix, Exim, Sendmail, Exchange, SES, Dovecot, Outlook.com 451 4.7.652"
  },
  {
    about: "connections",
    places: ["greeting", "ehlo", "auth", ...session],
    codes: "5",
    // Too many connections now may be few enough in a moment, whatever the code says.
    isTransient: true,
    words:
      /\b(?:too many|concurrent|simultaneous|maximum|max)\b.{0,40}\b(?:connections?|sessions?)\b|\bconnections?\b.{0,20}\b(?:limit|exceeded)\b/i,
    source: "554 5.7.1 too many connections (field)"
  },
  {
    about: "messagesPerSession",
    places: session,
    codes: [452],
    status: /^4\.4\.5$/,
    unless: inTime,
    // By its number this is congestion, but said to a session that has just worked it is about that session.
    when: ({ hasCarried }) => hasCarried === true,
    remedy: remedies.messages,
    source: "Stalwart"
  },

  // Refusals of the login.
  {
    about: "tls",
    places: ["auth"],
    codes: [538, 523],
    remedy: remedies.tls,
    source: "RFC 4954 §6, RFC 5248"
  },
  {
    about: "tls",
    places: ["auth", ...session],
    codes: [450, 451, 454, 503, 523, 530, 538, 550, 553, 554],
    words:
      /\b(?:must|need|requires?|required|first|only|please)\b.{0,40}\b(?:start ?tls|tls|ssl|encrypt\w*)\b|\b(?:start ?tls|tls|ssl|encrypt\w*)\b.{0,40}\b(?:must|needed|requires?|required|first|only|mandatory)\b/i,
    unless: /requiretls|rcpt domain|recipient|not available/i,
    remedy: remedies.tls,
    source: "RFC 3207 §4; Postfix, also its 450 4.7.1 Session encryption is required; SES, Exchange"
  },
  {
    about: "tls",
    places: session,
    codes: [530],
    words: /tls/i,
    remedy: remedies.tls,
    source: "RFC 3207 §4"
  },
  {
    about: "mechanism",
    places: ["auth"],
    codes: [432],
    status: /^4\.7\.12$/,
    isTransient: false,
    remedy:
      "log in once by PLAIN (`auth.mechanism`), which moves the account to this mechanism; or set the password anew with the provider",
    source: "RFC 4954 §6"
  },
  {
    about: "mechanism",
    places: ["auth"],
    codes: [500, 501, 502, 503, 504],
    unless: /\b(?:log ?in|password|credential|user)\w*\b/i,
    remedy: remedies.mechanism,
    source: "RFC 4954 §4; Postfix 503 authentication not enabled, Exim 503 AUTH not advertised"
  },
  {
    about: "credentials",
    places: ["auth"],
    codes: "5",
    words: /\bapplication.specific|\bapp(?:lication)? password|\bapp.specific/i,
    remedy: remedies.application,
    source: "Gmail 534 5.7.9, iCloud, Yahoo, Zoho"
  },
  {
    about: "credentials",
    places: ["auth"],
    codes: "5",
    words: /\bweb browser\b|\bweb login\b/i,
    remedy: "log in once with a web browser, as the reply says, or make an application password with the provider",
    source: "Gmail 534 5.7.14"
  },
  {
    about: "credentials",
    places: ["auth"],
    codes: [534],
    remedy: "choose a stronger mechanism with `auth.mechanism`, or ask the relay's operator how the account may log in",
    source: "RFC 4954 §6"
  },
  {
    about: "credentials",
    places: ["auth"],
    codes: "5",
    status: /^5\.7\.(?:13|139)$/,
    remedy: remedies.disabled,
    source: "Exchange Online 535 5.7.139, RFC 5248 5.7.13"
  },
  {
    about: "credentials",
    places: ["auth"],
    codes: "5",
    words:
      /\b(?:smtp ?client ?auth\w*|basic auth\w*|smtp auth\w*)\b.{0,40}\b(?:is |has been )?disabled\b|\baccount\b.{0,30}\bdisabled\b/i,
    remedy: remedies.disabled,
    source: "Exchange Online 535 5.7.139, 535 5.7.3"
  },

  // Authentication of the message, which is no login.
  {
    about: "message",
    places: session,
    codes: "45",
    status: /^[45]\.7\.(?:2[0-4679]|5[01]5?)$/,
    unless: /\bnot logged in\b/i,
    remedy: remedies.policy,
    source: "RFC 7372; Gmail 5.7.26, Outlook.com 5.7.515"
  },

  // The relay demands a login.
  {
    about: "login",
    places: session,
    codes: [530],
    remedy: remedies.login,
    source: "RFC 4954 §6"
  },
  {
    about: "login",
    places: session,
    codes: "5",
    status: /^5\.7\.57$/,
    remedy: remedies.login,
    source: "Exchange"
  },
  {
    about: "login",
    places: session,
    codes: [501, 502, 503, 505, 535, 550, 551, 553, 554, 571],
    words:
      /\b(?:auth(?:entication|entification|entify|enticate|orization)?|log ?[io]n|smtp.?auth)\b.{0,30}\b(?:is )?(?:required|needed|necessary|first|mandatory)\b|\b(?:must|please|need to|needs|requires?|required to|have to|should|before|use)\b.{0,30}\b(?:auth|authentication|authenticate|authenticated|authentify|smtp.?auth|log ?[io]n)\b|\bnot (?:been )?(?:authenticated|logged ?in|logged on)\b|\bunauthenticated (?:sender|user|client|connection)s?\b|\bauth(?:enticate)? first\b|\bno smtp auth\b/i,
    unless: /\b(?:spf|dkim|dmarc)\b|\bRESOLVER\.|\bdelivery restriction\b/i,
    remedy: remedies.login,
    source:
      "go-smtp 502 5.7.0, Stalwart and MailEnable 503, SendGrid 550, mailcow 553 5.7.1 not logged in, Sendmail 550 5.7.1"
  },

  // The sender, in words that also blame clients.
  {
    about: "sender",
    places: session,
    codes: "45",
    words:
      /\bsender address\b.{0,20}\bblocked using\b|\bbadmailfrom\b|\binvalid dns mx\b|\bsender verify\b.{0,20}\b(?:callout|callback|fail\w*)\b/i,
    remedy: remedies.sender,
    source: "Postfix reject_rhsbl_sender, qmail, IONOS, Exim"
  },

  // This client.
  {
    about: "client",
    places: ["greeting", ...envelope, "final"],
    codes: "45",
    words:
      /\b(?:helo|ehlo)\b.{0,50}\b(?:reject\w*|invalid|refused|denied|bad|argument\w*|names?|fully|domain|dns|resolve\w*|match)\b|\b(?:invalid|bad|reject\w*|forged|unacceptable)\b.{0,20}\b(?:helo|ehlo)\b|\bneed fully-qualified hostname\b/i,
    unless: /\bsay (?:helo|ehlo)|(?:helo|ehlo) first\b|send (?:helo|ehlo)/i,
    remedy: remedies.name,
    source: "Postfix reject_*_helo_hostname, Exim 501/550 HELO, hMailServer"
  },
  {
    about: "client",
    places: ["greeting", ...envelope, "final"],
    codes: "45",
    words:
      /\bcannot find your (?:reverse )?(?:hostname|address)\b|\breverse (?:dns|hostname|lookup|ip)\b|\bPTR\b|\brdns\b|\bIP name (?:lookup failed|possibly forged)\b|\bbad dns\b/i,
    remedy: remedies.reverse,
    source: "Postfix reject_unknown_client_hostname, Gmail 5.7.25, GMX 554, Sendmail"
  },
  {
    about: "client",
    places: ["greeting", ...envelope, "final"],
    codes: "5",
    status: /^5\.7\.25$/,
    remedy: remedies.reverse,
    source: "RFC 7372"
  },
  {
    about: "client",
    places: ["greeting", "ehlo", "auth", ...envelope],
    codes: "5",
    words:
      /\bunauthori[sz]ed ip\b|\bip(?: address)?\b.{0,30}\bnot (?:authori[sz]ed|allowed|permitted|whitelisted|registered)\b/i,
    remedy: remedies.allowed,
    source: "Brevo 525 5.7.1, Google's SMTP relay"
  },
  {
    about: "client",
    places: ["greeting", "ehlo", "auth", ...envelope],
    codes: "45",
    words:
      /\b(?:rbl|dnsbl|dnsrbl|spamhaus|spamcop|sorbs|barracuda|uceprotect|senderscore|cloudmark|proofpoint)\b|\bblack-?\s?list\w*|\bblock-?\s?list\w*|\bdeny-?\s?list\w*|\bblocked (?:using|by|due|because)\b|\blisted (?:at|in|by|on)\b|\bbanned sending ip\b|\b(?:your|this|sending|client) (?:ip|host|network|server|address|connection)\b.{0,40}\b(?:reject\w*|block\w*|banned|denied|listed|refused|reputation)\b|\b(?:ip|client|sender) reputation\b|\b(?:bad|poor|low) reputation\b|\bclient host\b.{0,60}\b(?:rejected|blocked|denied)\b|\bnot accepted from\b.{0,20}\bip\b|\bunfortunately, messages from\b|\bconnections? (?:will )?not (?:be )?accepted\b|\baccess from ip\b.{0,40}\b(?:blocked|denied|rejected)\b|\bintrusion prevention\b|\ball messages from\b.{0,40}\bdeferred\b/i,
    remedy: remedies.listed,
    source:
      "Postfix reject_rbl_client, Exim dnslists, Outlook.com S3140, Exchange Online 5.7.606, 5.7.708, Yahoo 553 BL21, TSS09, Mail.ru, IceWarp"
  },
  {
    about: "client",
    places: ["final"],
    codes: "5",
    words:
      /\bclient host\b.{0,60}\b(?:rejected|blocked|denied)\b|\bbanned sending ip\b|\bnot accepted from\b.{0,20}\bip\b|\byour ip\b.{0,40}\b(?:reject\w*|block\w*|banned|denied|listed)\b|\bunfortunately, messages from\b/i,
    remedy: remedies.listed,
    source: "Exchange Online 5.7.606, 5.7.708"
  },
  {
    about: "client",
    places: ["greeting", ...envelope],
    codes: "5",
    status: /^5\.7\.(?:511|60[6-9]|6[1-4]\d|70[38])$/,
    remedy: remedies.listed,
    source: "Exchange Online"
  },
  {
    about: "client",
    places: ["mail", "rcpt", "data"],
    codes: "45",
    words:
      /\brelay(?:ing)?\b.{0,30}\b(?:denied|disallowed|not (?:permitted|allowed|authorized|enabled)|prohibited|disabled|refused|forbidden)\b|\b(?:unable|not (?:permitted|allowed|authorized|configured)|cannot|may not|won't|will not|do not|don't|does not|refus\w*|denied)\b.{0,25}\brelay\b|\bnon-accepted domain\b|\ballowed rcpthosts\b|\brelay (?:not|access)\b|\bno relaying\b|\bopen relay\b|\bnot (?:our|a local) domain\b|\brelay(?:ing)? (?:operation )?rejected\b|\bdelivery is not allowed to this address\b|\bcannot deliver mail for\b/i,
    unless: /\brelay(?:ing)? (?:not|is) (?:available|ready)/i,
    remedy: remedies.relaying,
    source:
      "Postfix 554 5.7.1, Exim, Sendmail, Exchange 5.7.54, 5.7.64, qmail 553, Mailgun, Gmail, Domino, hMailServer, Haraka"
  },
  {
    about: "client",
    places: ["rcpt"],
    codes: "5",
    status: /^5\.7\.(?:54|64|367)$/,
    remedy: remedies.relaying,
    source: "Exchange, Exchange Online"
  },

  {
    about: "client",
    places: ["ehlo"],
    codes: "5",
    remedy: remedies.name,
    source: "RFC 5321 §4.1.1.1: a refusal of EHLO and HELO is one of the name"
  },

  // The transaction's size.
  {
    about: "recipients",
    places: ["rcpt"],
    codes: [450, 451, 452, 550, 552, 554],
    status: /^[45]\.5\.3$/,
    unless: inTime,
    isTransient: true,
    remedy: "send again later; if it repeats, name fewer recipients in one message",
    source: "RFC 5321 §4.5.3.1.10, RFC 3463; Postfix, Gmail, Exchange, go-smtp 552 5.5.3"
  },
  {
    about: "recipients",
    places: ["rcpt"],
    codes: [450, 451, 452, 550, 552, 554],
    words:
      /\bmultiple destination domains\b|\bseparate transaction\b|\bone recipient (?:at a time|per)\b|\btoo many (?:recipients|rcpts?|rcpt commands|addressees)\b|\b(?:limit|maximum|max)\b.{0,30}\b(?:recipients|rcpts)\b|\brecipients?\b.{0,20}\b(?:limit|maximum)\b/i,
    unless: inTime,
    isTransient: true,
    remedy: "send again later; if it repeats, name fewer recipients in one message",
    source: "Exim 452 and 552, Inbucket 552, z/OS"
  },
  {
    about: "recipients",
    places: ["rcpt"],
    codes: [552],
    status: /^$|^5\.0\.0$/,
    unless: /\b(?:mail ?box|quota|storage|full|space|size|large|user|account)\b/i,
    // The code alone may also mean a full mailbox, but not so right behind recipients that it fits.
    when: ({ hasAccepted }) => hasAccepted === true,
    isTransient: true,
    remedy: "send again later; if it repeats, name fewer recipients in one message",
    source: "RFC 5321 §4.5.3.1.10"
  },
  {
    about: "recipients",
    places: ["data", "final"],
    codes: "5",
    words: /\btoo many recipients\b|\brecipient count exceeds\b/i,
    unless: inTime,
    remedy: "name fewer recipients in one message",
    source: "Exchange 550 5.5.3 RESOLVER.ADR.RecipLimit, SES 554: told of the whole message"
  },
  {
    about: "size",
    places: session,
    codes: "5",
    status: /^5\.(?:3\.4|2\.3)$/,
    remedy: remedies.size,
    source: "RFC 3463"
  },
  {
    about: "size",
    places: ["mail", "rcpt", "data", "final"],
    codes: [523, 550, 552, 554],
    words:
      /\b(?:message|mail|size|content|data)\b.{0,40}\b(?:too (?:large|big|long)|exceeds?|exceeded|larger than)\b.{0,40}\b(?:size|maximum|limit|fixed|allowed|permitted|large)\b|\bmessage (?:is )?too (?:large|big|long)\b|\bmessage size\b.{0,20}\b(?:exceed|limit|maximum)/i,
    unless: /\b(?:mail ?box|quota|storage|full|rate)\b/i,
    remedy: remedies.size,
    source: "Postfix, Exim, SES 552 Message is too long, Gmail"
  },

  // The sender.
  {
    about: "sender",
    places: session,
    codes: "5",
    words:
      /\bSTOREDRV\.Submission\b|\b(?:your|sending|sender'?s?) (?:account|mail ?box)\b.{0,40}\b(?:suspended|blocked|disabled|closed|locked|full|restricted)\b|\bemail outgoing blocked\b|\bunusual sending\b|\bsender throttled\b|\bbad outbound sender\b|\bnot authorized to perform\b|\bsandbox\b|\bfree accounts?\b|\btrial accounts?\b|\bsending (?:is |was )?(?:paused|suspended|disabled)\b|\baccount is not (?:yet )?activated\b/i,
    remedy: remedies.account,
    source: "Exchange Online 554 5.2.2, 550 5.2.25x, Zoho 554 5.1.8, SES 554 Sending paused, Brevo 502 5.7.0"
  },
  {
    about: "sender",
    places: ["rcpt", "data", "final"],
    codes: "5",
    status: /^5\.2\.25[1-5]$|^5\.7\.(?:50[1-3]|705|750)$/,
    remedy: remedies.account,
    source: "Exchange Online"
  },
  {
    about: "sender",
    places: ["rcpt", "data", "final"],
    codes: "45",
    words:
      /\b(?:sender|from|return.path)\b(?: address)?.{0,40}\b(?:reject\w*|denied|not (?:verified|allowed|permitted|owned|match|one of)|unverified|does not match|verif\w+ fail\w*|blocked|unknown|invalid)\b|\bsend as\b|\b(?:email address|identit\w+) (?:is )?not verified\b|\bverified sender\b|\bsendas\w*|\bnot allowed to send\b|\bdomain is unverified\b|\bunconfigured sending domain\b/i,
    unless: /\b(?:spf|dkim|dmarc)\b/i,
    remedy: remedies.sender,
    source:
      "Postfix 553 5.7.1, Exim Sender verify failed, SES 554, SendGrid 550, Mailgun 550, SparkPost 550 5.7.1, iCloud, Exchange 5.7.60"
  },
  {
    about: "sender",
    places: ["rcpt", "data", "final"],
    codes: "45",
    status: /^[45]\.1\.[78]$|^5\.7\.60$/,
    remedy: remedies.sender,
    source: "RFC 3463, Exchange"
  },

  // The message, where an address was expected to be blamed.
  {
    about: "message",
    places: ["rcpt"],
    codes: "5",
    words: /\b(?:spam|virus|malware|phish\w*|spf|dkim|dmarc|content|policy|policies|bulk)\b/i,
    remedy: remedies.policy,
    source: "Postfix policy services, Rspamd"
  },
  {
    about: "rate",
    places: session,
    codes: "4",
    status: /^4\.(?:7\.\d+|3\.2|4\.5|5\.3)$/,
    source: "RFC 3463: a policy, no resources, congestion"
  },
  {
    about: "rate",
    places: session,
    codes: [450],
    status: /^4\.2\.1$/,
    words: /\brate\b|\btoo (?:many|much|fast|quickly|often)\b|\blimit/i,
    source: "Gmail: the mailbox receives too much at once"
  },
  {
    about: "rate",
    places: session,
    codes: [552],
    status: /^4\.\d/,
    isTransient: true,
    source: "servers that give 552 a status of class 4"
  },
  {
    about: "rate",
    places: session,
    codes: [451],
    status: /^$/,
    words: /try again later|\brate\b/i,
    source: "Exim, Qmail"
  },
  {
    about: "rate",
    places: session,
    codes: [454],
    status: /^$/,
    words: /\bthrottl/i,
    source: "SES"
  },

  // The mailbox.
  {
    about: "recipient",
    places: ["rcpt", "data", "final"],
    codes: "5",
    status: /^5\.4\.1$/,
    words: /\brecipient address rejected\b/i,
    source: "Exchange Online, whose directory has no such address: Access denied"
  },
  {
    about: "recipient",
    places: ["rcpt", "data", "final"],
    codes: "5",
    status: /^5\.2\.2$/,
    remedy: remedies.full,
    source: "RFC 3463"
  },
  {
    about: "recipient",
    places: ["rcpt", "final"],
    codes: [552],
    words:
      /\b(?:mail ?box|user|account|quota|storage)\b.{0,40}\b(?:full|quota|exceeded|over)\b|\bover ?quota\b|\bquota exceeded\b/i,
    unless: /\bmessage size\b/i,
    remedy: remedies.full,
    source: "RFC 5321 §4.2.3, Exim, Dovecot"
  },
  {
    about: "recipient",
    places: ["rcpt"],
    codes: [552],
    remedy: remedies.full,
    source: "RFC 5321 §4.2.3: exceeded storage allocation"
  },
  {
    about: "recipient",
    places: ["rcpt", "data", "final"],
    codes: "5",
    status: /^5\.2\.1$/,
    words: /\brate\b|too (?:many|much|fast|quickly)|limit|temporar|later|quota|full/i,
    remedy: "send again later",
    source: "Gmail 550 5.2.1: the mailbox receives too much at once"
  },
  {
    about: "recipient",
    places: ["rcpt", "data", "final"],
    codes: "5",
    status: /^5\.1\.(?:[1236]|10)$|^5\.2\.1$/,
    unless:
      /\b(?:policy|reputation|spam|virus|helo|ehlo|rbl|dnsbl|spamhaus|barracuda|black-?\s?list(?:ed)?|block-?\s?list(?:ed)?|your (?:ip|host|server|network))\b/i,
    isGone: true,
    source: "RFC 3463, RFC 7505"
  },
  {
    about: "relay",
    places: session,
    codes: "4",
    words:
      /\binsufficient\b.{0,20}\b(?:storage|space|resources?)\b|\bqueue file\b|\bspace shortage\b|\bout of (?:storage|space)\b|\btemporary (?:\w+ )?(?:problem|error|failure)\b|\bserver configuration error\b/i,
    unless: /\b(?:mail ?box|quota|user)\b/i,
    remedy: remedies.resources,
    source: "Postfix 452 4.3.1 and 451 4.3.5, Exchange 452 4.3.1, Exim 452 and 451, qmail 451"
  },
  {
    about: "size",
    places: ["mail", "data", "final"],
    codes: [552],
    status: /^$/,
    source: "RFC 1870 §6"
  },
  {
    about: "message",
    places: ["rcpt"],
    codes: "5",
    words:
      /\baccess denied\b|\bblocked\b|\bbanned\b|\b(?:administrative\w* )?prohibit\w*|\bnot (?:allowed|permitted|authori[sz]ed)\b|\bpermission denied\b/i,
    remedy: remedies.rule,
    source: "Exim 550 Administrative prohibition, Postfix access tables"
  },
  {
    about: "message",
    places: ["rcpt"],
    codes: "5",
    status: /^5\.[567]\./,
    remedy: remedies.rule,
    source: "RFC 3463"
  }
]
