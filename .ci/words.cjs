/**
 * Fails on words that the project has replaced by terms of the field (the glossary in ARCHITECTURE.md), where they are
 * identifiers; on phrases that are not plain English, in sources, tests and texts for users; and on marks that a merge left
 * in a text.
 */
const { existsSync, readdirSync, readFileSync } = require("node:fs")
const { join, relative, sep } = require("node:path")

const root = join(__dirname, "..")

/** Replaced identifiers and the terms to use; not `take`, `place` and `note`, which are right for queues, texts and transcripts. */
const terms = {
  Lead: "SpeculationWindow",
  covers: "canSendAhead",
  mayBegin: "canStart",
  outOfStep: "replyDesync",
  patience: "limit, backoff or deadline",
  Patience: "ConnectBackoff",
  Ending: "ConnectionEnd, settlement or Outcome",
  End: "ConnectionEnd, Outcome or another name for whose end it is",
  Sent: "SessionOutcome or another name for what came of it",
  sqliteEnd: "settlementTuple",
  barrenEnding: "endedUnused",
  maxBarren: "maxUnusedSessions",
  stillborn: "shortLived",
  goodbyes: "closing",
  farewell: "closing",
  isTakingLeave: "isClosing",
  onWorn: "onExhausted",
  isWorn: "isExhausted",
  retireIfWorn: "retireIfExhausted",
  inHand: "inFlight",
  InHand: "ClaimedMails",
  hand: "inFlight or claimedMails",
  hurry: "beginShutdown",
  LaneBook: "LaneScheduler",
  laneBook: "laneScheduler",
  LaneLook: "LaneScanner",
  laneLook: "laneScanner",
  Pulse: "DispatchSignal",
  pulse: "signal",
  beat: "wake, or heartbeat",
  Tried: "AttemptedMail",
  together: "mergeAttempts, or what is joined",
  Attempted: "AttemptedMail",
  Tenure: "DispatcherLease",
  tenure: "lease",
  Surroundings: "Dependencies",
  surroundings: "dependencies",
  sqliteIntake: "accept",
  Course: "DurableProgress",
  Numbered: "IndexedEntry",
  numbered: "indexed",
  Deed: "BulkChange",
  deed: "change",
  Letter: "InputMail",
  letter: "inputMail",
  Findings: "ScreeningNotes",
  Written: "PlainMail",
  Own: "Overrides",
  mustKnow: "requireKnownIds",
  told: "reported, emitted or logged",
  tell: "report, emit or log",
  say: "print, send or write",
  explain: "describe",
  explained: "described",
  keeping: "retention",
  rowMaking: "newRow",
  entryRow: "entryMapping",
  browsing: "queries",
  capError: "caps"
}

/** Identifiers that were replaced in these packages, and are the field's own word in others: a link of HTML, Effect's `tries`. */
const termsOf = {
  core: { Intake: "Screening" },
  smtp: { learn: "onCompleted" },
  outbox: { tries: "attempts" },
  cli: {
    Intake: "Screening or EnqueueInput",
    Moment: "RunContext",
    Choice: "MailSelection",
    Place: "OutboxLocation",
    Link: "ConnectionStats"
  }
}

/** A relative clause as a noun, a passive without an actor, and other turns that hide the subject. */
const phrases =
  /\bwhat (?:is|was) no(?:ne)?\b|\bthat is none\b|\bwho comes\b|\bfor want of\b|\bnobody (?:waits|asked)\b|\bas it is told\b|\bwhen told\b|\bis of (?:no )?use\b|\blets? go of\b|\bone's own\b/gi

/** The lines that Git puts around both sides of a conflict. */
const mergeMarks = /^(?:<{7}|>{7}|\|{7}) .*$/gm

const filesBelow = (folder, pattern) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true })
        .filter((file) => pattern.test(file) && !/(^|[\\/])(node_modules|dist)[\\/]/.test(file))
        .map((file) => join(folder, file))
    : []

const packages = readdirSync(join(root, "packages"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => join(root, "packages", name))
const sources = packages.flatMap((folder) => filesBelow(join(folder, "src"), /\.ts$/))
const tests = [...packages, root].flatMap((folder) => filesBelow(join(folder, "test"), /\.ts$/))
const texts = [
  ...sources,
  ...tests,
  ...readdirSync(root)
    .filter((file) => file.endsWith(".md"))
    .map((file) => join(root, file)),
  ...packages.flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith(".md"))
      .map((file) => join(folder, file))
  ),
  ...filesBelow(join(root, "examples"), /\.(ts|md)$/)
]

/** Blanks comments, texts and classes of characters, but keeps line ends and the code inside of `${…}`. */
const codeOf = (source) => {
  const blank = (text) => text.replace(/[^\n]/g, " ")
  return source
    .replace(/\/\*[\s\S]*?\*\//g, blank)
    .replace(/\\p\{\w+\}/gi, blank)
    .replace(/(^|[\s;{}(),])\/\/.*$/gm, blank)
    .replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, blank)
    .replace(/`(?:[^`\\]|\\.)*`/g, (text) =>
      text
        .split(/(\$\{[^{}]*\})/)
        .map((part) => (part.startsWith("${") ? part : blank(part)))
        .join("")
    )
}

/** Finds identifiers; a type of another module, as in `ReplyMeaning.Place`, keeps that module's name. */
const identifiers = (words) => {
  const choice = Object.keys(words).join("|")
  return new RegExp(`(?<![\\w$-])(?<!\\b[A-Z]\\w*\\.(?=[A-Z]))(?:${choice})(?![\\w$-])|(?<=\\bthis\\.)it\\b`, "g")
}

const findings = []
const report = (file, text, at, message) => {
  const line = text.slice(0, at).split("\n").length
  findings.push(`${relative(root, file)}:${line}: ${message}`)
}

for (const file of sources) {
  const code = codeOf(readFileSync(file, "utf8"))
  const own = { ...terms, ...termsOf[relative(join(root, "packages"), file).split(sep)[0]] }
  for (const { 0: word, index } of code.matchAll(identifiers(own)))
    report(file, code, index, `${word}: use ${own[word] ?? "fields of the class"}`)
}
for (const file of texts) {
  const text = readFileSync(file, "utf8")
  for (const { 0: phrase, index } of text.matchAll(phrases))
    report(file, text, index, `"${phrase}": name the subject and use an active verb`)
  for (const { index } of text.matchAll(mergeMarks)) report(file, text, index, "a merge left this mark")
}

for (const finding of findings) process.stderr.write(`${finding}\n`)
process.stdout.write(
  findings.length === 0 ? `no replaced words in ${sources.length} modules\n` : `${findings.length} replaced words\n`
)
process.exitCode = findings.length === 0 ? 0 : 1
