/**
 * Why a name has no address, or an address takes no connection: the cause and what to try.
 */
import * as Dns from "node:dns"
import { isIP } from "node:net"
import type { Settings } from "../../SmtpOptions.ts"
import type { Exchanger, Problem } from "./report.ts"

/** No address was found; `codes` are those of the system's resolver and of the DNS, as far as they answered. */
export const unresolved = (
  { host, timeouts }: Settings,
  codes: ReadonlyArray<string>,
  exchangers: ReadonlyArray<Exchanger>,
  nameServers: ReadonlyArray<string> | undefined
): Problem => {
  const dig = nameServers === undefined ? `\`dig ${host}\`` : `\`dig @${nameServers[0]} ${host}\``
  const others = exchangers.filter(({ exchange }) => exchange !== "")
  if (others.length > 0) {
    const names = others.map(({ exchange }) => exchange)
    return {
      cause: `${host} is a mail domain without an address of its own; its mail goes to ${names.join(", ")}`,
      advice: [
        `name the server of your provider for sending, or probe the domain's mail exchanger: \`mailrace probe smtp://${names[0]}:25\``
      ]
    }
  }
  const has = (...wanted: ReadonlyArray<string>) => codes.some((code) => wanted.includes(code))
  if (has(Dns.NODATA))
    return {
      cause: `the name ${host} exists but has no address`,
      advice: ["check that it is the name of the mail server and not of the domain", `ask the DNS: ${dig}`]
    }
  if (has(Dns.NOTFOUND))
    return {
      cause: `the name ${host} does not exist`,
      advice: [
        `check the spelling of ${host}`,
        "if the name is new or internal, check that this machine asks the name server that knows it",
        `ask the DNS: ${dig}`
      ]
    }
  if (has(Dns.SERVFAIL, Dns.REFUSED))
    return {
      cause: `the name servers give no answer for ${host}: they fail or refuse to look it up`,
      advice: [
        "look at the domain's name servers and its DNSSEC signatures",
        `compare with another resolver: \`dig @1.1.1.1 ${host}\``
      ]
    }
  if (has(Dns.CONNREFUSED))
    return {
      cause: "no name server runs at the address that this machine asks",
      advice: ["correct the name servers in /etc/resolv.conf, or start the local resolver", `ask the DNS: ${dig}`]
    }
  return {
    cause: `the name servers did not answer for ${host} within ${Math.round(timeouts.dns)} ms`,
    advice: [
      "check that this machine reaches its name servers (/etc/resolv.conf, port 53 through the firewall)",
      `compare with another resolver: \`dig @1.1.1.1 ${host}\``,
      "raise the timeout of phase dns if the name server is slow by nature"
    ]
  }
}

/** How an attempt to connect failed. */
export interface Unreached {
  readonly address: string
  readonly family: number
  /** The system's code, or `TIMEOUT`. */
  readonly code: string
}

/** The code of an attempt that nobody answered. */
export const timedOut = "TIMEOUT"

/** The answers of the host's other ports that are usual for mail. */
export interface OtherPorts {
  readonly open: ReadonlyArray<number>
  /** True if any answered at all, even with a refusal. */
  readonly isHostUp: boolean
}

/** No address of the relay takes a connection. */
export const unreachable = (settings: Settings, attempts: ReadonlyArray<Unreached>, others: OtherPorts): Problem => {
  const { cause, advice } = causeOf(settings, attempts, others)
  const isIpv6Alone = isIP(settings.host) === 0 && attempts.every(({ family }) => family === 6)
  if (!isIpv6Alone) return { cause, advice }
  return {
    cause: `${cause}; ${settings.host} has only IPv6 addresses`,
    advice: [
      "check that this machine has IPv6, and that the relay listens on it and not on IPv4 alone; or use a relay with an IPv4 address",
      ...advice
    ]
  }
}

const causeOf = (
  { host, localAddress, port, relay, timeouts }: Settings,
  attempts: ReadonlyArray<Unreached>,
  others: OtherPorts
): Problem => {
  const codes = attempts.map(({ code }) => code)
  const places = attempts.map(({ address }) => address).join(", ")
  const elsewhere = others.open.map(
    (open) => `use port ${open}, which answers: \`mailrace probe ${open === 465 ? "smtps" : "smtp"}://${host}:${open}\``
  )
  const knock = `\`nc -vz ${host} ${port}\``
  if (codes.includes("ECONNREFUSED"))
    return {
      cause: `nothing listens on port ${port} of ${host} (${places} refuses the connection)`,
      advice: [
        ...elsewhere,
        "check the port: 587 and 465 are usual for sending, 25 between mail servers",
        "on the relay, look whether the mail server runs and on which address it listens: `ss -ltn`"
      ]
    }
  if (localAddress !== undefined && codes.some((code) => code === "EADDRNOTAVAIL" || code === "EINVAL"))
    return {
      cause: `connections to ${places} cannot come from the local address ${localAddress}: it does not belong to this machine, or is of the other family`,
      advice: ["set `localAddress` to an address of this machine, or leave it out", "see its addresses: `ip address`"]
    }
  if (!codes.includes(timedOut))
    return {
      cause: `this machine has no route to ${relay} (${places}: ${codes.join(", ")})`,
      advice: [
        "check this machine's network and its firewall",
        `look at the route: \`ip route get ${attempts[0]?.address}\``
      ]
    }
  const silence = `${relay} (${places}) did not answer within ${Math.round(timeouts.connect)} ms`
  if (others.open.length > 0)
    return {
      cause: `${silence}, although the host answers on port ${others.open.join(", ")}: port ${port} is blocked on the way, or its listener takes no more connections`,
      advice: [
        ...elsewhere,
        `ask the provider of this machine's network to open port ${port}; many block 25`,
        `look from another network: ${knock}`
      ]
    }
  if (others.isHostUp)
    return {
      cause: `${silence}, although the host is up: the server behind the port takes no more connections (its listen queue is full because it hangs or is overloaded), or a firewall drops what goes to port ${port}`,
      advice: [
        "on the relay, look at the listen queue (Recv-Q reaches Send-Q when it is full): `ss -ltn`",
        "restart the mail server if it hangs, or wait until its load is over",
        `check the firewalls on both sides for port ${port}: ${knock}`
      ]
    }
  return {
    cause: `${silence}: a firewall drops the packets, or the host is down`,
    advice: [
      `check the host and the port, and that this network lets port ${port} out (many block 25; try 587 or 465)`,
      `see how far packets come: \`traceroute -T -p ${port} ${host}\``
    ]
  }
}

/** The relay works, but some of its addresses do not. */
export const partlyUnreachable = (failed: ReadonlyArray<Unreached>, total: number): Problem => ({
  cause: `${failed.length} of the relay's ${total} addresses takes no connection: ${failed.map(({ address, code }) => `${address} (${code === timedOut ? "no answer" : code})`).join(", ")}`,
  advice: [
    failed.every(({ family }) => family === 6)
      ? "this machine may have no IPv6; connections then fall back to IPv4, at some delay"
      : "have the relay's operator repair it or take it out of the DNS"
  ]
})
