/**
 * Where in an HTML document a field may stand, and what is said where it may not.
 */
import { assert, describe, it } from "@effect/vitest"
import * as TemplatePlaces from "../../../src/internal/template/places.ts"
import { TemplateError } from "../../../src/TemplateError.ts"

const compile = (html: string) => TemplatePlaces.htmlUnsafe("html", html, new Set(["http", "https"]))

describe("templatePlaces", () => {
  it.for([
    "<p>{{#if v}}<b>{{v}}</b>{{else}}<i>{{/if}}",
    '<p class="a{{#if v}} b{{/if}}">',
    "<td{{#if v}} class='x'{{/if}}>",
    "<input {{#if v}}checked{{else}}disabled=1 {{/if}}>{{v}}",
    "<input {{#if v}}checked{{/if}} value='{{v}}'>",
    "<td width={{#if v}}1{{else}}2{{/if}}>{{v}}",
    "<{{#if v}}b{{else}}b{{/if}}>{{v}}",
    "<a href='{{#if v}}https://a/{{else}}http://b/{{/if}}{{v}}'>",
    "<a href='{{#if v}}https{{else}}http{{/if}}://b/{{v}}'>",
    "<a href='{{#if v}}{{v}}{{else}}/none{{/if}}'>",
    "<a href='/?x={{#each xs}}{{this}},{{/each}}'>",
    "{{#each xs}}<a href='{{this}}'>{{/each}}",
    "<style>a{b:c} {{#if v}}p{d:e}{{/if}}</style>",
    "<!-- {{#if v}}x{{/if}} -->",
    "<!--[if !mso]><!--><p>{{v}}</p><!--<![endif]--><p>{{v}}",
    "<!--[if mso]>a<![endif]--><p title='{{v}}'>{{v}}",
    "<!-->{{v}}",
    "<!--->{{v}}",
    "<!-- a -- b --!>{{v}}",
    "<?xml version='1.0'?>{{v}}",
    "<!doctype html>{{v}}",
    "</ x>{{v}}",
    "</>{{v}}",
    "1 < 2 {{v}} <3 {{v}}",
    "<p/>{{v}}<br / title='{{v}}'>",
    "<p a=b/>{{v}}<p a = 'b'c='d'>{{v}}",
    "<svg xlink:href='/{{v}}'>",
    "<title>a</titlex>{{v}}</title >{{v}}",
    "<style>a</stylex></style\n>{{v}}",
    "<STYLE>a</sTyLe>{{v}}",
    "<meta content='{{v}}'><meta http-equiv=refresh content='{{v}}'>",
    "<p style='{{v}}:{{v}}'>",
    "<p style=\"background:url('{{v}}');color:{{v}}\">"
  ])("lets fields stand in %j", (html) => {
    compile(html)
  })

  it.for([
    [
      "<style>p { color: {{v}} }</style>",
      19,
      "nothing is safe inside <style>",
      "put the value into the style attribute of a tag"
    ],
    ["<script>var a = '{{v}}'</script>", 18, "nothing is safe inside <script>", "take the field out of it"],
    [
      "<p class={{v}}>",
      10,
      "the field stands in an attribute without quotes",
      'put the value in quotes, as in href="{{url}}"'
    ],
    [
      "<p class=a{{v}}>",
      11,
      "the field stands in an attribute without quotes",
      'put the value in quotes, as in href="{{url}}"'
    ],
    [
      "<p {{v}}>",
      4,
      "a field cannot stand in a tag outside of an attribute's value",
      'write the attribute out, as in class="{{name}}", or choose with {{#if}}'
    ],
    [
      "<p a{{v}}='x'>",
      5,
      "a field cannot stand in a tag outside of an attribute's value",
      'write the attribute out, as in class="{{name}}", or choose with {{#if}}'
    ],
    [
      "<p a='b' {{v}}>",
      10,
      "a field cannot stand in a tag outside of an attribute's value",
      'write the attribute out, as in class="{{name}}", or choose with {{#if}}'
    ],
    [
      "<p a {{v}}>",
      6,
      "a field cannot stand in a tag outside of an attribute's value",
      'write the attribute out, as in class="{{name}}", or choose with {{#if}}'
    ],
    [
      "<{{v}}>",
      2,
      "a field cannot be part of a tag's name",
      "choose between whole tags with {{#if}}, and write &lt; for a < in the text"
    ],
    [
      "</{{v}}>",
      3,
      "a field cannot be part of a tag's name",
      "choose between whole tags with {{#if}}, and write &lt; for a < in the text"
    ],
    [
      "<h{{v}}>",
      3,
      "a field cannot be part of a tag's name",
      "choose between whole tags with {{#if}}, and write &lt; for a < in the text"
    ],
    ["<!-- {{v}} -->", 6, "the field stands in a comment", "take it out of the comment"],
    ["<!--{{v}}", 5, "the field stands in a comment", "take it out of the comment"],
    ["<!--[if {{v}}]>", 9, "the field stands in a comment", "take it out of the comment"],
    ["<!doctype {{v}}>", 11, "the field stands in a comment", "take it out of the comment"],
    [
      "<p onclick='f({{v}})'>",
      15,
      "nothing is safe in the attribute onclick of <p>",
      "take the field out; mail programs run no scripts"
    ],
    [
      "<iframe srcdoc='{{v}}'>",
      17,
      "nothing is safe in the attribute srcdoc of <iframe>",
      "take the field out; mail programs run no scripts"
    ],
    [
      "<script src='{{v}}'>",
      14,
      "nothing is safe in the attribute src of <script>",
      "take the field out; mail programs run no scripts"
    ],
    ["<meta content='0;url={{v}}'>", 22, "nothing is safe in the address of a refresh", "take the field out"],
    ["<meta content=' 0; {{v}}'>", 20, "nothing is safe in the address of a refresh", "take the field out"],
    [
      "<svg><set attributeName='href' to='{{v}}'>",
      36,
      "nothing is safe in the attribute to of <set>",
      "take the field out; mail programs run no scripts"
    ],
    [
      "<a href='javascript:f({{v}})'>",
      23,
      'nothing is safe in an address that begins with "javascript:"',
      "take the field out, or allow the scheme with the option schemes"
    ],
    [
      "<a href='{{v}}:{{v}}'>",
      15,
      "a field stands before the colon of an address",
      "put the whole address into the field"
    ],
    [
      "<a href='{{v|https}}://e.org'>",
      21,
      "a field stands before the colon of an address",
      "put the whole address into the field"
    ],
    [
      "<p style='background:url({{v}}:x)'>",
      31,
      "a field stands before the colon of an address",
      "put the whole address into the field"
    ],
    [
      "<a href='{{v}}{{{v}}}'>",
      15,
      "three braces stand where the field may still complete the scheme of the address",
      "write the beginning of the address out, as in https://example.org/{{{path}}}"
    ],
    [
      "<a href='java{{{v}}}'>",
      14,
      "three braces stand where the field may still complete the scheme of the address",
      "write the beginning of the address out, as in https://example.org/{{{path}}}"
    ],
    [
      "<a href='{{#if v}}/x{{/if}}{{v}}'>",
      28,
      "whether the field begins the address depends on a block",
      "put the whole address into each branch"
    ],
    [
      "<a href='{{#each v}}{{this}}{{/each}}'>",
      21,
      "whether the field begins the address depends on a block",
      "put the whole address into each branch"
    ],
    [
      "<a {{#if v}}href{{else}}title{{/if}}='{{v}}'>",
      39,
      "the attribute's name depends on a block",
      "put whole attributes into each branch"
    ],
    ["<p title='{{{v}}}'>", 11, "an attribute holds no HTML", "write the field with two braces"],
    ["<p style='{{{v}}}'>", 11, "an attribute holds no HTML", "write the field with two braces"],
    ["<title>{{{v}}}</title>", 8, "<title> holds no HTML", "write the field with two braces"],
    [
      "{{#if v}}<p title='{{else}}'{{/if}}>",
      1,
      "the branches of this block end in different places of the HTML",
      "begin and end tags, quotes and comments inside one branch, or put whole tags into each"
    ],
    [
      "{{#if v}}<style>{{/if}}a",
      1,
      "the branches of this block end in different places of the HTML",
      "begin and end tags, quotes and comments inside one branch, or put whole tags into each"
    ],
    [
      "{{#each v}}<!--{{/each}}",
      1,
      "the branches of this block end in different places of the HTML",
      "begin and end tags, quotes and comments inside one branch, or put whole tags into each"
    ],
    [
      "<!--[if mso]><p title='-->'>{{v}}",
      29,
      "a conditional comment ends inside a tag before this field",
      "end the comment with <![endif]--> after the tag"
    ]
  ] as const)("refuses %j", ([html, column, problem, remedy]) => {
    const message = (() => {
      try {
        return compile(`<p>\n${html}`)
      } catch (error) {
        assert.instanceOf(error, TemplateError)
        return (error as TemplateError).message
      }
    })()
    assert.strictEqual(message, `html, line 2, column ${column}: ${problem}; ${remedy}`)
  })
})
