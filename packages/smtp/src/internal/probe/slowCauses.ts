/**
 * Decides whether a phase took too long, and names the usual causes.
 *
 * Most of a phase is round trips, which are the network's and not the phase's. So each phase is allowed the round trips that
 * it needs and some time for the work; what goes beyond is its excess.
 */
import type { PhaseName, Problem } from "./report.ts"

/** The time that a phase may take: round trips, and milliseconds beside them. */
interface Allowance {
  readonly roundTrips: number
  readonly ms: number
}

const allowances: { readonly [phase in PhaseName]: Allowance } = {
  dns: { roundTrips: 0, ms: 100 },
  tcp: { roundTrips: 0, ms: 300 },
  tls: { roundTrips: 2, ms: 100 },
  greeting: { roundTrips: 1, ms: 100 },
  ehlo: { roundTrips: 1, ms: 100 },
  starttls: { roundTrips: 1, ms: 100 },
  auth: { roundTrips: 3, ms: 200 },
  envelope: { roundTrips: 3, ms: 100 },
  content: { roundTrips: 1, ms: 150 }
}

/** How many milliseconds a phase took beyond what it may; 0 or less if it was quick enough. */
export const excessOf = (phase: PhaseName, ms: number, roundTripMs: number): number =>
  ms - allowances[phase].ms - allowances[phase].roundTrips * roundTripMs

/** Why a phase was slow, the likeliest cause first. */
export const slow = (phase: PhaseName, ms: number, host: string): Problem => {
  const { advice, cause } = causes[phase]
  return { cause: `${cause} (${Math.round(ms)} ms)`, advice: advice.map((line) => line.replaceAll("HOST", host)) }
}

const causes: { readonly [phase in PhaseName]: Problem } = {
  dns: {
    cause: "the name is slow to resolve",
    advice: [
      "look at this machine's name servers: the first in /etc/resolv.conf may not answer, so that each lookup waits for the second: `dig HOST`",
      "check that the name servers answer for AAAA too: some stay silent, and the lookup waits for both",
      "run a resolver that caches on this machine"
    ]
  },
  tcp: {
    cause: "the TCP connection is slow to open",
    advice: [
      "compare with the distance: it is one round trip: `ping HOST`",
      "about one second more, or three, is a lost first packet: look at the link's losses and at the relay's listen queue"
    ]
  },
  tls: {
    cause: "the TLS handshake is slow",
    advice: [
      "look at the relay's CPU: handshakes are what costs it most, with RSA keys of 4,096 bits above all",
      "keep connections open, or let them resume their sessions, so that fewer handshakes are needed",
      "look for a firewall that opens TLS"
    ]
  },
  greeting: {
    cause: "the relay takes its time before it greets",
    advice: [
      "give this machine's address a PTR record that leads back to it: a relay that looks for one waits until the lookup fails",
      "wait it out if the relay slows unknown clients down on purpose (greet pause, tarpit); keep connections open instead of making new ones",
      "look at the relay's load and at its block list lookups"
    ]
  },
  ehlo: {
    cause: "the relay takes its time to answer EHLO",
    advice: [
      "set `name` (name=… in the URL) to a name that the DNS knows: the relay may look it up",
      "look at the relay's load and at what checks clients there"
    ]
  },
  starttls: {
    cause: "the relay takes its time to agree to STARTTLS",
    advice: ["look at the relay's load: it may start a process for TLS"]
  },
  auth: {
    cause: "the login is slow",
    advice: [
      "look at what knows the passwords at the relay (LDAP, a database, PAM): it is slow, or delays logins after wrong ones",
      "keep connections open, so that there are fewer logins"
    ]
  },
  envelope: {
    cause: "the relay takes its time to answer MAIL, RCPT or DATA",
    advice: [
      "look at what the relay looks up for each sender and recipient: DNS, block lists, policy services, callouts",
      "send more recipients with one message, and more messages over one connection, if it slows clients down on purpose",
      "use more connections: the waits then overlap (`maxConnections`)"
    ]
  },
  content: {
    cause: "the relay thinks long about each message before it accepts it",
    advice: [
      "look at its content filters (spam, virus) and at its disk: both come before the final reply",
      "use more connections, so that the waits overlap (`maxConnections`): messages a second are connections divided by this time"
    ]
  }
}
