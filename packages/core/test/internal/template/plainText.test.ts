import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { decodeHTML, decodeHTMLAttribute } from "entities/decode"
import * as HtmlText from "../../../src/internal/template/plainText.ts"
import * as TemplatePlaces from "../../../src/internal/template/places.ts"
import * as Scope from "../../../src/internal/template/scope.ts"
import * as TemplateSteps from "../../../src/internal/template/steps.ts"
import { readHtml } from "../../support/html.ts"

const schemes = new Set(["https", "mailto"])

/** The text of a template, derived and then filled in. */
const render = (html: string, data: unknown): string =>
  TemplateSteps.textUnsafe(HtmlText.derive(TemplatePlaces.htmlUnsafe("html", html, schemes)), Scope.make(data), "error")

describe("htmlText", () => {
  it.for<readonly [what: string, html: string, text: (read: string) => boolean]>([
    ["lines", "a<br>".repeat(300_000), (text) => text === "a\n".repeat(300_000).trim()],
    ["cells", "<tr><td>x".repeat(200_000), (text) => text === "x\n".repeat(200_000).trim()],
    ["blanks", `<pre>a${" ".repeat(1_000_000)}b`, (text) => text.length === 1_000_002],
    ["lists in lists", "<ul><li>x".repeat(50_000), (text) => text.length < 50_000 * 50],
    ["a comment of blanks", `<!--${" ".repeat(1_000_000)}[if x]>a<![endif]-->b`, (text) => text === "b"],
    ["entities that are none", `&${"a".repeat(16_000)} `.repeat(60), (text) => text.length === 60 * 16_002 - 1]
  ])("does no more work for a megabyte of %s than goes with its length", ([, html, isRight]) => {
    assert.isTrue(isRight(HtmlText.fromHtml(html)))
  })

  it("reads elements that are named like Object's own properties", () => {
    assert.strictEqual(HtmlText.fromHtml("a <constructor>b</constructor> c"), "a b c")
  })

  it.for([
    ["", ""],
    ["plain  text\n here ", "plain text here"],
    ["<p>one</p><p>two</p>", "one\n\ntwo"],
    ["<div>one</div> <div>two</div>", "one\ntwo"],
    ["a<br>b<br/><br>c<br><br><br><br>d", "a\nb\n\nc\n\nd"],
    ["<h1>Title</h1>\n\n\n<p>text", "Title\n\ntext"],
    ["<p>a <b>bold </b> <i>word</i>.</p>", "a bold word."],
    ["a&nbsp;&amp;&nbsp;b &lt;c&gt; &euro;&#8364;&#x20AC;&#150;", "a & b <c> €€€–"],
    ["<ul><li>one</li><li><p>two</p></li></ul>end", "- one\n- two\n\nend"],
    ["<ol><li>one<li>two</ol><ol><li>again</ol>", "1. one\n2. two\n\n1. again"],
    ["<ul><li>one<ol><li>in<li>ner</ol></li><li>two</ul>", "- one\n  1. in\n  2. ner\n- two"],
    ["<li>stray", "- stray"],
    ["<ul><li></li><li>two</ul>", "-\n- two"],
    ["<ul><li><li></ul>end", "-\n-\n\nend"],
    ["<table><tr><td>a</td><td>b</td></tr><tr><th>c<td>d</table>x", "a b\nc d\n\nx"],
    ["<table><tr><td><table><tr><td>a</td></tr></table></td></tr></table>", "a"],
    ['see <a href="https://e.org/a?b=c&amp;d=e">this</a>.', "see this (https://e.org/a?b=c&d=e)."],
    ["<a href='https://e.org'>https://e.org</a> <a href='https://e.org/'>e.org</a>", "https://e.org e.org"],
    ['<a href="mailto:a@e.org">a@e.org</a> <a href="mailto:a@e.org">write</a>', "a@e.org write (a@e.org)"],
    ['<a href="#top">up</a><a name=x>y</a><a href="">z</a>', "upyz"],
    ['<a href="https://e.org"><img src=x alt="Our shop"></a>', "Our shop (https://e.org)"],
    ['a<a href="https://e.org"><img src=x></a>b', "a https://e.org b"],
    ['<img src="a.png"><img src="b.png" alt=""><img alt="A &amp; B">', "A & B"],
    ["<hr>a<hr>b", "---\n\na\n\n---\n\nb"],
    ["<pre>  a\n   b</pre>c", "  a\n   b\n\nc"],
    ["<title>T</title><style>a{b:c}</style><script>f('<p>')</script>x", "x"],
    ["<!-- c --><!doctype html>x<!--[if mso]><p>Outlook</p><a href=y>z</a><![endif]-->y", "xy"],
    ["<!--[if !mso]><!--><p>others</p><!--<![endif]-->", "others"],
    ['<div style="display:none;color:red">pre<div>view</div>line</div><p>text', "text"],
    ['<span style="mso-hide: all">a</span>b<img style="display:none" alt="c">d', "abd"],
    ['<a href="https://e.org/r" style="color:#fff;mso-hide:all">Reset</a>', "Reset (https://e.org/r)"],
    ['<div style="max-height:0;overflow:hidden;mso-hide:all">pre</div>x', "x"],
    ['<div style="max-height:0px; max-width:0; overflow-y: hidden">pre</div>x', "x"],
    ['<div style="max-height:0">a</div><div style="overflow:hidden">b</div>', "a\nb"],
    ['<div style="max-height:0.5em;overflow:hidden">a</div>', "a"],
    ['<p style="display:none;display:block">a</p><p style="display:block;display:none">b</p>', "a"],
    ['<p style="display:none!important;display:block">a</p><p style="display:none;display:blok">b</p>c', "c"],
    ['<p style="display:none;display:">a</p><p style="/*display:none*/color:red">b</p>', "b"],
    [`<p style="background:url('data:x;display:none;');color:red">a</p>`, "a"],
    ['<p style="DISPLAY : NONE">a</p><p style="visibility:collapse">b</p>c', "c"],
    ['<p data-style="display:none" title="display:none">a</p>', "a"],
    // An element is visible again in one that is not, but never in one that is not shown.
    ['<div style="visibility:hidden">a<p style="visibility:visible">b</p>c</div>d', "b\n\nd"],
    ['<div style="visibility:hidden">a<p style="visibility:initial">b<i>c</i></p></div>', "bc"],
    ['<div style="visibility:hidden"><p style="visibility:inherit">a</p><p style="color:red">b</p></div>c', "c"],
    [
      '<div style="visibility:hidden"><a href="https://e.org" style="visibility:visible">a</a></div>',
      "a (https://e.org)"
    ],
    ['<div style="visibility:hidden"><img alt="a" style="visibility:visible"><img alt="b"></div>', "a"],
    ['<div style="display:none"><p style="visibility:visible">a</p></div>b', "b"],
    ['<div style="visibility:hidden"><p style="display:none;visibility:visible">a</p></div>b', "b"],
    ['<div style="visibility:hidden"><p hidden><b style="visibility:visible">a</b></p></div>b', "b"],
    ["<p hidden>a</p><p hidden=''>b</p><p HIDDEN class=x>c</p><p hidden/>d</p><p class=x hidden>e</p>f", "f"],
    ['<p hidden style="display:block">a</p><p aria-hidden="true">b</p><p class=hidden>c</p>', "a\n\nb\n\nc"],
    ["<template><a href=x>a</a></template>b", "b"],
    // Elements that HTML need not close.
    ['<p style="display:none">pre<p>Hi', "Hi"],
    ['<p style="display:none">pre<div>Hi</div>', "Hi"],
    ['<p style="display:none">pre<h1>Hi</h1>', "Hi"],
    ['<p style="display:none">pre<table><tr><td>Hi</table>', "Hi"],
    ['<div><p style="display:none">pre</div>Hi', "Hi"],
    ['<table><tr style="display:none"><td>x<tr><td>Hi</table>', "Hi"],
    ['<table><tr><td style="display:none">x<td>Hi<tr><th hidden>y<th>there</table>', "Hi\nthere"],
    ['<table><thead style="display:none"><tr><th>x<tbody><tr><td>Hi</table>', "Hi"],
    ['<table><tr><td><table><tr style="display:none"><td>x</table>Hi</table>', "Hi"],
    ['<ul><li style="display:none">x<li>Hi</ul>', "- Hi"],
    ['<ul><li style="display:none">x<ul><li>y</ul>z<li>Hi</ul>', "- Hi"],
    ["<dl><dt hidden>x<dd>Hi<dt>there</dl>", "Hi\nthere"],
    ["<select><option hidden>x<option>Hi</select>", "Hi"],
    ["<select><optgroup hidden><option>x<optgroup><option>Hi</select>", "Hi"],
    ["<ruby>a<rp hidden>(<rt>b<rp hidden>)</ruby>", "ab"],
    ['<span style="display:none">x<b>y</span>Hi', "Hi"],
    ['<div style="display:none"><span>x</div>Hi', "Hi"],
    ['<div style="display:none"></span></p>x</div>Hi', "Hi"],
    ['<div style="display:none"><div>x</div>y</div>Hi', "Hi"],
    ['<a href="https://e.org">go <span hidden>x</a>Hi', "go (https://e.org) Hi"],
    [`<div style="display:none">${"<font>".repeat(2000)}x</div>Hi`, "Hi"],
    // Elements without an end.
    ...[
      "area",
      "base",
      "br",
      "col",
      "embed",
      "hr",
      "img",
      "input",
      "link",
      "meta",
      "param",
      "source",
      "track",
      "wbr"
    ].map((tag) => [`<${tag} hidden>Hi`, "Hi"] as const),
    ["<div hidden><wbr><input><area></div>Hi", "Hi"],
    // Lists that begin elsewhere than with 1.
    ['<ol start="3"><li>a<li>b</ol>', "3. a\n4. b"],
    ['<ol start="-1"><li>a<li>b<li>c</ol>', "-1. a\n0. b\n1. c"],
    ['<ol start="x"><li>a</ol><ol start=" 7th"><li>b</ol>', "1. a\n\n7. b"],
    ["<ol><li value=5>a<li>b<li value=2>c</ol><ul><li value=9>d</ul>", "5. a\n6. b\n2. c\n\n- d"],
    ["<ol reversed start=3><li>a<li>b</ol><ol reversed><li>a<li>b</ol>", "3. a\n2. b\n\n- a\n- b"],
    // Entities.
    ["&rArr;&diams;&commat;&lstrok;&lbrace;&NotEqualTilde;&copy 2&notit;&notin;", "⇒♦@ł{≂̸© 2¬it;∉"],
    // Comments for Outlook.
    ["<!--[if !mso]> -->Hi<!-- <![endif]-->", "Hi"],
    ["<!--[if !mso]> <!-->Hi<!--<![endif]-->there", "Hithere"],
    ["<!--[if !mso]>x-->Hi", "Hi"],
    ["<![if !mso]>Hi<![endif]>", "Hi"],
    [
      '<map><area href="https://e.org/1" alt="Shop"><area href="https://e.org/2"><area alt="x"></map>Hi',
      "Shop (https://e.org/1) https://e.org/2 Hi"
    ],
    ['<map><area hidden href="https://e.org/1" alt="Shop"></map>Hi', "Hi"],
    // Links that begin in each other, or in what ends before them.
    ["<a href=https://e.org/1>one <a href=https://e.org/2>two</a>", "one (https://e.org/1) two (https://e.org/2)"],
    ["<td><a href=https://e.org/1>one<td><a href=https://e.org/2>two", "one (https://e.org/1) two (https://e.org/2)"],
    ["<a href=https://e.org/1><table><tr><td>one</td></tr></table></a>", "one (https://e.org/1)"],
    ["<p><a href=https://e.org/1>one<p>two</a>three", "one\n\ntwo (https://e.org/1)three"],
    ["</p></ul></a></b>x", "x"],
    ["a < b &unknown; &", "a < b &unknown; &"],
    ['<a href="https://e.org">open', "open (https://e.org)"]
  ] as const)("%j reads %j", ([html, expected]) => {
    assert.strictEqual(HtmlText.fromHtml(html), expected)
  })

  it.for([
    ["<p>Dear {{name}},</p><p>{{{html}}}</p>", "Dear <Ann>,\n\nbold\n\n- item"],
    ['<p title="{{name}}">{{#if yes}}<b>yes</b>, {{else}}no, {{/if}}{{name|x}}</p>', "yes, <Ann>"],
    ["<p>a</p>{{#if no}}<p>b</p>{{/if}}<p>c</p>", "a\n\nc"],
    ["<p>a</p>{{#if yes}}<p>b</p>{{/if}}<p>c</p>", "a\n\nb\n\nc"],
    ["<ul>{{#each xs}}<li>{{this}}</li>{{/each}}</ul>end", "- 1\n- 2\n\nend"],
    ["<ol><li>zero</li>{{#each xs}}<li>{{this}}</li>{{/each}}<li>end</li></ol>", "1. zero\n2. 1\n3. 2\n- end"],
    ["{{#each xs}}<ol><li>a<li>b</ol>{{/each}}", "1. a\n2. b\n\n1. a\n2. b\n\n"],
    ["<table>{{#each xs}}<tr><td>{{this}}</td><td>x</td></tr>{{/each}}</table>", "1 x\n2 x\n"],
    ["{{#each xs}}{{this}}, {{/each}}end", "1, 2, end"],
    ["{{#each none}}x{{else}}<p>nobody</p>{{/each}}", "nobody\n\n"],
    ['<a href="https://e.org/{{id}}">go</a>', "go (https://e.org/a%20b)"],
    ['<a href="{{url}}">go</a>', "go (https://e.org/?a=1&b=2)"],
    ['<a href="{{url}}">{{url}}</a>', "https://e.org/?a=1&b=2"],
    ['<a href="{{url}}">{{name}}</a>', "<Ann> (https://e.org/?a=1&b=2)"],
    ['<a href="{{url}}"><img src=x></a>', "https://e.org/?a=1&b=2"],
    ['<a href="https://e.org/{{#if yes}}y/{{id}}{{else}}n{{/if}}">go</a>', "go (https://e.org/y/a%20b)"],
    ['<a {{#if no}}href="https://a"{{else}}href="https://b"{{/if}}>go</a>', "go (https://b)"],
    ['{{#if yes}}<a href="https://a">{{/if}}go{{#if yes}}</a>{{/if}}', "https://a go"],
    ['<img src="{{url}}" alt="{{name}} {{id}}">', "<Ann> a b"],
    ['<div style="display:none">{{name}}{{#if yes}}<div>{{/if}}</div>x', "x"],
    ['{{#if yes}}<div style="display:none">{{name}}{{/if}}x', "x"],
    ['{{#if yes}}a{{else}}<div style="display:none">{{name}}{{/if}}x', "ax"],
    ["<!--[if mso]>{{name}}<![endif]-->x", "x"],
    ["<title>{{name}}</title>x", "x"],
    ['<a href="{{empty}}">go</a>', "go"],
    ['<a href="{{empty|}}">go</a> on', "go on"],
    ['<a href="{{#if no}}https://a{{/if}}">go</a>', "go"],
    ['<a href="{{#if yes}}{{url}}{{/if}}">go</a>', "go (https://e.org/?a=1&b=2)"],
    ['<a href=" {{url}} ">go</a>', "go (https://e.org/?a=1&b=2)"],
    ['<a href="https://e.org/{{empty}}">go</a>', "go (https://e.org/)"],
    ['<a href="{{url}}"><br>go</a>', "go (https://e.org/?a=1&b=2)"],
    ['<a href="https://e.org">{{#if yes}}go</a>{{else}}stay</a>{{/if}} on', "go (https://e.org) on"],
    ['<a href="https://e.org">{{#if no}}go</a>{{else}}stay</a>{{/if}} on', "stay (https://e.org) on"],
    ['<div style="display:none">a{{#if yes}}<div>{{else}}<div class=x>{{/if}}b</div>c</div>d', "d"],
    ['<p style="display:{{#if yes}}block{{else}}none{{/if}}">a</p>', "a"],
    ["<p {{#if no}}hidden{{/if}}>a</p>", "a"],
    ['<ol start="{{first}}"><li>a<li>b</ol>', "- a\n- b"],
    ['<ol start="5">{{#each xs}}<li>{{this}}{{/each}}</ol>', "5. 1\n6. 2\n"],
    ["<ol reversed start=5>{{#each xs}}<li>{{this}}{{/each}}</ol>", "5. 1\n4. 2\n"],
    ["<ol>{{#each xs}}<li>{{this}}{{/each}}<li>end</ol>", "1. 1\n2. 2\n- end"],
    ["<ol><li>a</li>{{#each xs}}<li>{{this}}<li>x{{/each}}</ol>", "1. a\n2. 1\n3. x\n4. 2\n5. x\n"],
    ["<ol reversed start=9>{{#each xs}}<li>a<li>b<li>c{{/each}}</ol>", "9. a\n8. b\n7. c\n6. a\n5. b\n4. c\n"],
    ["<ol>{{#each xs}}{{#if @first}}<li>a{{else}}<li>b{{/if}}<li>c{{/each}}</ol>", "1. a\n2. c\n3. b\n4. c\n"],
    ["<ol>{{#each xs}}{{#if @first}}<li>a</li>{{/if}}<li>b{{/each}}</ol>", "- a\n- b\n- b\n"],
    ["<ol>{{#each rows}}{{#each cells}}<li>{{this}}{{/each}}{{/each}}</ol>", "- a\n- b\n- c\n"],
    ["<ol><li>a{{#each none}}<li>b<li>c{{else}}<li>d{{/each}}<li>e</ol>", "1. a\n2. d\n- e"],
    [
      "<ol>{{#each xs}}<li>a<ol><li>x<li>y</ol><li>b{{/each}}</ol>",
      "1. a\n  1. x\n  2. y\n2. b\n3. a\n  1. x\n  2. y\n4. b\n"
    ],
    ["<ol>{{#each xs}}<li>{{this}}{{/each}}{{#each xs}}<li>{{this}}{{/each}}</ol>", "1. 1\n2. 2\n- 1\n- 2\n"]
  ] as const)("a template %j gives %j", ([html, expected]) => {
    const data = {
      name: "<Ann>",
      html: "<b>bold</b><ul><li>item</ul>",
      yes: true,
      no: false,
      xs: [1, 2],
      rows: [{ cells: ["a", "b"] }, { cells: ["c"] }],
      none: [],
      id: "a b",
      url: "https://e.org/?a=1&b=2",
      empty: "",
      first: 4
    }
    assert.strictEqual(render(html, data), expected)
  })

  const pieces = [
    "<p>",
    "</p>",
    "<div>",
    "</div>",
    "<br>",
    "<ul>",
    "<li>",
    "</li>",
    "</ul>",
    "<a>",
    "</a>",
    "<td>",
    "<b>",
    "</b>",
    "word",
    "a b",
    " ",
    "\n",
    "&amp;",
    "&uuml;",
    "&#956;",
    "<!-- c -->"
  ] as const

  it.prop(
    "loses no word, invents none, and leaves at most one empty line",
    [Arbitrary.array(Arbitrary.schema(Schema.Literals(pieces)), { maxLength: 20 })],
    ([parts]) => {
      const html = parts.join("")
      const text = HtmlText.fromHtml(html)
      const read = readHtml(html)
        .map((item) => ("text" in item ? item.text : ""))
        .join("")
      assert.strictEqual(text.replace(/^ *-(?: |$)/gm, "").replace(/\s/g, ""), read.replace(/\s/g, ""))
      assert.notMatch(text, /\n{3}|^\n|[ \n]$| \n/)
    },
    { arbitrary: { runs: 300 } }
  )

  it.prop(
    "entities read as they do for a parser of HTML",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x2fff }))],
    ([code]) => {
      for (const entity of [`&#${code};`, `&#x${code.toString(16)};`])
        assert.strictEqual(
          `x${decodeHTML(entity)}`,
          readHtml(`x${entity}`)
            .map((item) => ("text" in item ? item.text : ""))
            .join("")
        )
    }
  )

  it("named entities read as they do for a parser of HTML", () => {
    const names =
      "amp lt gt quot apos nbsp iexcl yen shy reg micro frac34 Agrave AElig times szlig eth divide yuml Alpha Rho Sigma Omega alpha rho sigmaf sigma omega OElig zcaron ndash hellip euro trade rarr infin check starf bull copy thinsp Prime"
    for (const name of names.split(" "))
      assert.strictEqual(
        decodeHTML(`&${name};x`),
        readHtml(`&${name};x`)
          .map((item) => ("text" in item ? item.text : ""))
          .join(""),
        name
      )
    assert.strictEqual(decodeHTML("&ampx &copy2 &alphax &nope; &"), "&x ©2 &alphax &nope; &")
    assert.strictEqual(decodeHTMLAttribute("?a&copy=b&amp;c&reg&lt"), "?a&copy=b&c®<")
  })
})
