/** The style of the page, light or dark as the reader's system is. */
export const pageStyle = `:root {
  color-scheme: light dark;
  --back: #fff; --text: #24292f; --quiet: #667; --line: #e3e6ea;
  --green: #1a7f37; --red: #cf222e; --amber: #b26a00; --blue: #0969da; --violet: #8250df; --grey: #6e7781;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #14171c; --text: #dfe3e8; --quiet: #99a2ad; --line: #30363d;
    --green: #3fb950; --red: #f85149; --amber: #d99a2b; --blue: #58a6ff; --violet: #bc8cff; --grey: #9aa4ae;
  }
}
body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; }
.quiet { color: var(--quiet); }
.plots { display: grid; gap: 0 2rem; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); }
.plots > section { min-width: 0; }
.tables { display: grid; gap: 0 2rem; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); align-items: start; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: bottom; overflow-wrap: break-word; }
td { vertical-align: top; }
th { color: var(--quiet); font-weight: 500; }
th:last-child, td:last-child { padding-right: 0; }
td:first-child:not(.number) { min-width: 4.5rem; overflow-wrap: anywhere; }
.relays td:first-child { min-width: 9rem; }
@media (min-width: 54rem) { .relays { grid-column: span 2; } }
td.number, th.number { font-variant-numeric: tabular-nums; text-align: right; }
td.number { white-space: nowrap; }
@media (max-width: 40rem) {
  .errors thead { display: none; }
  .errors tr { border-bottom: 1px solid var(--line); display: grid; grid-template-columns: auto 1fr auto; padding: .3rem 0; }
  .errors td { border: 0; min-width: 0; padding-bottom: 0; padding-top: 0; }
  .errors td:last-child { grid-column: 1 / -1; overflow-wrap: anywhere; }
}
.remedy { color: var(--blue); }
.green { color: var(--green); } .red { color: var(--red); } .amber { color: var(--amber); }
.u-legend { color: var(--text); font-size: 13px; text-align: left; }
.u-legend th, .u-legend td { border: 0; }
.uplot { max-width: 100%; }
`
