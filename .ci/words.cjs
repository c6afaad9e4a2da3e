/**
 * Fails on words that the project has replaced by terms of the field (the glossary in ARCHITECTURE.md), where they are
 * identifiers; on phrases that are not plain English, in sources, tests and texts for users; and on marks that a merge left
 * in a text.
 */
const { existsSync, readdirSync, readFileSync } = require("node:fs")
const { join, relative } = require("node:path")

const root = join(__dirname, "..")

/** Replaced identifiers and the terms to use. */
const terms = {
  Lead: "SpeculationWindow",
  mayBegin: "canStart",
  outOfStep: "replyDesync",
  patience: "limit, backoff or deadline",
  Patience: "ConnectBackoff",
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
  hurry: "beginShutdown",
  LaneBook: "LaneScheduler",
  laneBook: "laneScheduler",
  LaneLook: "LaneScanner",
  laneLook: "laneScanner",
  Pulse: "DispatchSignal",
  pulse: "signal",
  Tried: "AttemptedMail",
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
  mustKnow: "requireKnownIds",
  told: "reported, emitted or logged",
  tell: "report, emit or log",
  explain: "describe",
  explained: "described",
  keeping: "retention",
  rowMaking: "newRow",
  entryRow: "entryMapping",
  browsing: "queries",
  capError: "caps"
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

const identifier = new RegExp(`(?<![\\w$-])(?:${Object.keys(terms).join("|")})(?![\\w$-])`, "g")

const findings = []
const report = (file, text, at, message) => {
  const line = text.slice(0, at).split("\n").length
  findings.push(`${relative(root, file)}:${line}: ${message}`)
}

for (const file of sources) {
  const code = codeOf(readFileSync(file, "utf8"))
  for (const { 0: word, index } of code.matchAll(identifier)) report(file, code, index, `${word}: use ${terms[word]}`)
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
