/**
 * The options of nodemailer's SMTP transports that have a counterpart here, with nodemailer's names and meaning.
 */
import type * as SmtpOptions from "@mailrace/smtp/SmtpOptions"

/** The login: the user, and the password or token. */
export interface Auth {
  /** `OAuth2` for an access token. Defaults to a password. */
  readonly type?: string | undefined
  readonly user?: string | undefined
  readonly pass?: string | undefined
  /** The mechanism, as `PLAIN`. Defaults to `authMethod`. */
  readonly method?: string | undefined
  readonly accessToken?: string | false | undefined
  /** When the access token ends, in milliseconds since 1970. */
  readonly expires?: number | undefined
  /** How long it holds, in seconds. */
  readonly timeout?: number | undefined
  readonly clientId?: string | undefined
  readonly clientSecret?: string | undefined
  readonly refreshToken?: string | undefined
  /** Where a refresh token is exchanged. Defaults to Google's. */
  readonly accessUrl?: string | undefined
  readonly serviceClient?: string | undefined
  readonly privateKey?: any
  readonly customHeaders?: any
  readonly customParams?: any
  /** Gives a token: `(user, isRenewal, callback) => callback(error, token, expires)`. */
  readonly provisionCallback?: any
}

/** nodemailer's options for SMTP, and Mailrace's own under one key. */
export interface TransportOptions {
  /** A URL in nodemailer's form, which overrides the other options. */
  readonly url?: string | undefined
  /** A provider that nodemailer knows by name, as `Gmail`; sets host, port and TLS. */
  readonly service?: string | undefined
  /** Defaults to `localhost`. */
  readonly host?: string | undefined
  /** Defaults to 465 with `secure`, else 587. */
  readonly port?: number | string | undefined
  /** TLS from the first byte. Defaults to true on port 465. */
  readonly secure?: boolean | undefined
  readonly auth?: Auth | undefined
  /** The mechanism to log in by, as `PLAIN`. Defaults to the strongest that the relay offers. */
  readonly authMethod?: string | undefined
  /** True to log in to a relay that does not offer it. By default such a relay gets the message without a login. */
  readonly forceAuth?: boolean | undefined
  /** `ca`, `servername`, `rejectUnauthorized` and `minVersion`. */
  readonly tls?: object | undefined
  readonly servername?: string | undefined
  readonly ignoreTLS?: boolean | undefined
  readonly requireTLS?: boolean | undefined
  readonly opportunisticTLS?: boolean | undefined
  /** The client's name in EHLO. */
  readonly name?: string | undefined
  /** The address of this machine to connect from. */
  readonly localAddress?: string | undefined
  /** True to keep connections open between messages, until `close`. */
  readonly pool?: boolean | undefined
  readonly maxConnections?: number | undefined
  readonly maxMessages?: number | undefined
  /** Milliseconds; 0 means no limit. */
  readonly idleTimeout?: number | undefined
  /** With `pool`, the most messages begun in each `rateDelta`. Defaults to no limit. */
  readonly rateLimit?: number | undefined
  /** Milliseconds. Defaults to 1000. */
  readonly rateDelta?: number | undefined
  /** Milliseconds, as the three that follow. */
  readonly connectionTimeout?: number | undefined
  readonly greetingTimeout?: number | undefined
  readonly socketTimeout?: number | undefined
  readonly dnsTimeout?: number | undefined
  readonly dkim?: object | undefined
  readonly disableFileAccess?: boolean | undefined
  readonly disableUrlAccess?: boolean | undefined
  readonly attachDataUrls?: boolean | undefined
  readonly normalizeHeaderKey?: ((key: string, value: string) => string) | undefined
  readonly maxRecipients?: number | undefined
  /** True for the console, or a logger like bunyan's. It hears about connections. */
  readonly logger?: any
  /** True to log what both sides say as well, without passwords and content. */
  readonly debug?: boolean | undefined
  /** The same. */
  readonly transactionLog?: boolean | undefined
  readonly component?: string | undefined
  /** Options that nodemailer does not have, such as `pipelining`. With a `host`, they describe the whole relay. */
  readonly mailrace?: Partial<SmtpOptions.Options> | undefined
}
