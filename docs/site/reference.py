#!/usr/bin/env python3
"""docs/site/reference.py XML HEADERS OUT: a page of reference for each public header, as reStructuredText for Sphinx.

XML is what Doxygen makes of HEADERS. Declarations stand in the order of the header, below the headings of its @name
groups. As in the headers, a comment is about all declarations that follow it without another comment or an empty line.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ET

xml, headers, out = map(pathlib.Path, sys.argv[1:4])
kinds = {"function": "function", "variable": "member", "typedef": "type", "enum": "enum", "concept": "concept"}


def escape(text):
    """Text as markup that shows it; what stands between backticks is code."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(f"`{p}`" if p.startswith("`") else re.sub(r"([\\\\*_`|])", r"\\\1", p) for p in parts)


def prose(node):
    """The paragraphs of a description."""
    blocks = []

    def inline(e):
        text = escape(e.text or "")
        for child in e:
            if child.tag in ("computeroutput", "verbatim"):
                text += f"``{''.join(child.itertext())}``"
            elif child.tag in ("itemizedlist", "orderedlist", "simplesect", "parameterlist", "para"):
                if text.strip():
                    blocks.append(text.strip())
                text = ""
                walk(child)
            elif child.tag == "linebreak":
                text += "\n"
            else:
                text += inline(child)
            text += escape(child.tail or "")
        return text

    def walk(e):
        for child in e:
            if child.tag == "para":
                text = inline(child).strip()
                if text:
                    blocks.append(text)
            elif child.tag == "listitem":
                first = len(blocks)
                walk(child)
                blocks[first:] = ["- " + "\n\n  ".join(blocks[first:])]
            else:
                walk(child)

    if node is not None:
        walk(node)
    return "\n\n".join(b for b in blocks if b)


def documentation(e):
    return "\n\n".join(filter(None, (prose(e.find("briefdescription")), prose(e.find("detaileddescription")))))


def text_of(e):
    return re.sub(r"\s+", " ", "".join(e.itertext())).strip() if e is not None else ""


def template(e):
    parameters = e.find("templateparamlist")
    if parameters is None:
        return ""
    names = [" ".join(filter(None, (text_of(p.find("type")), text_of(p.find("declname")))))
             + (f" = {d}" if (d := text_of(p.find("defval"))) else "") for p in parameters.findall("param")]
    return f"template <{', '.join(names)}> "


class Item:
    def __init__(self, kind, signature, element, section="", children=()):
        self.kind, self.signature, self.section, self.children = kind, signature, section, list(children)
        where = element.find("location")
        self.file, self.line = where.get("file"), int(where.get("line"))
        self.text = documentation(element)


def member(m, section, inside=None):
    kind, name = m.get("kind"), m.findtext("name")
    if kind not in kinds or name.startswith("@") or m.get("prot") == "private":
        return None
    if "<" in name or "->" in (m.findtext("argsstring") or ""):  # a specialization, a deduction guide
        return None
    if kind == "enum":
        values = [Item("enumerator", v.findtext("name"), m) for v in m.findall("enumvalue")]
        for value, v in zip(values, m.findall("enumvalue")):
            value.text = documentation(v)
        return Item("enum-class" if m.get("strong") == "yes" else "enum", name, m, section, values)
    type_ = text_of(m.find("type"))
    if kind == "typedef":
        return Item("type", f"{template(m)}{name} = {type_}", m, section)
    if kind == "variable":
        initial = text_of(m.find("initializer"))
        return Item("member", f"{type_} {name}{m.findtext('argsstring') or ''} {initial if len(initial) < 60 else ''}".strip(), m, section)
    arguments = re.sub(r"\s*=\s*(default|delete|0)$", "", m.findtext("argsstring") or "()")
    prefix = "static " if m.get("static") == "yes" and inside else ""
    prefix += "friend " if "friend" in type_ else ""
    type_ = re.sub(r"\b(friend|inline|constexpr|static|explicit)\b ?", "", type_)
    return Item("function", f"{template(m)}{prefix.replace('friend ', '')}{type_} {name}{arguments}".strip(), m, section)


compounds = {}
for file in xml.glob("*.xml"):
    if file.name.startswith(("namespace", "class", "struct")):
        for c in ET.parse(file).getroot().findall("compounddef"):
            compounds[c.get("id")] = c


def compound(c):
    children = []
    for section in c.findall("sectiondef"):
        if section.get("kind", "").startswith("private"):
            continue
        children += filter(None, (member(m, "", inside=c) for m in section.findall("memberdef")))
    for inner in c.findall("innerclass"):
        if inner.get("prot") != "private" and inner.get("refid") in compounds:
            children.append(compound(compounds[inner.get("refid")]))
    bases = [f"public {b.text}" for b in c.findall("basecompoundref") if b.get("prot") == "public" and "detail" not in b.text]
    name = c.findtext("compoundname").split("::")[-1]
    return Item(c.get("kind"), f"{template(c)}{name}{' : ' + ', '.join(bases) if bases else ''}", c, "", sorted(children, key=lambda i: i.line))


pages = {}  # header -> [(namespace, item)]
for c in list(compounds.values()):
    if c.get("kind") != "namespace" or "detail" in c.findtext("compoundname"):
        continue
    space = c.findtext("compoundname")
    for section in c.findall("sectiondef"):
        heading = section.findtext("header") or ""
        for m in section.findall("memberdef"):
            if (item := member(m, heading)) and item.file:
                pages.setdefault(item.file, []).append((space, item))
    for inner in c.findall("innerclass"):
        if inner.get("refid") in compounds and "<" not in (inner.text or ""):
            item = compound(compounds[inner.get("refid")])
            pages.setdefault(item.file, []).append((space, item))


def emit(item, lines, depth, more=()):
    indent, head = "   " * depth, f".. cpp:{item.kind}:: "
    signatures = [item.signature, *more]
    lines += [indent + head + signatures[0], *(indent + " " * len(head) + s for s in signatures[1:]), ""]
    if item.text:
        lines += [*(f"{indent}   {line}".rstrip() for line in item.text.splitlines()), ""]
    emit_all(item.children, lines, depth + 1)


def emit_all(items, lines, depth):
    """Declarations below one comment become one entry."""
    i = 0
    while i < len(items):
        more, k = [], i + 1
        while (k < len(items) and items[i].kind == "function" == items[k].kind and not items[k].text
               and items[k].file == items[k - 1].file and not blank_between(items[k - 1], items[k])):
            more.append(items[k].signature)
            k += 1
        emit(items[i], lines, depth, more)
        i = k


source = {}


def blank_between(a, b):
    text = source.setdefault(a.file, (headers / a.file).read_text().splitlines())
    return any(not line.strip() for line in text[a.line - 1 : b.line - 1])


def opening(file):
    """The comment at the head of the header. Its indented lines are code."""
    text = (headers / file).read_text()
    head = re.search(r"#pragma once\n+((?:// .*\n|//\n)+)", text)
    if not head or head[1].startswith("// Internal"):
        return []
    lines, code = [], False
    for line in re.sub(r"^// ?", "", head[1], flags=re.M).splitlines():
        indented = line.startswith("  ")
        if line and indented != code:
            code = indented
            lines += ["", ".. code-block:: cpp", ""] if code else [""]
        lines.append(" " + line if code and line else escape(line))
    return [*lines, ""]


def sections(file):
    """(first line, heading) of each @name group, whose closing ends it."""
    found = [(0, "")]
    for n, line in enumerate((headers / file).read_text().splitlines(), 1):
        if name := re.search(r"@name (.*)", line):
            found.append((n, name[1].strip()))
        elif "@}" in line:
            found.append((n, ""))
    return found


def title_of(heading):
    title, _, rest = re.match(r"([^.,:]+)([.,:]?)\s*(.*)", heading).groups()
    return title, rest


def headed(title, line):
    return [escape(title), line * len(escape(title)), ""]


for file in sorted(p.relative_to(headers).as_posix() for p in headers.rglob("*.h")):
    items = sorted(pages.get(file, []), key=lambda p: p[1].line)
    lines = [*headed(file, "="), f"``#include <wengert/{file}>``", "", *opening(file)]
    marks, at, space = sections(file), -1, None
    run = []

    def flush():
        emit_all(run, lines, 0)
        run.clear()

    for namespace, item in items:
        section = max(i for i, (line, _) in enumerate(marks) if line <= item.line)
        if section != at or namespace != space:
            flush()
        if section != at and marks[section][1]:
            title, rest = title_of(marks[section][1])
            lines += [*headed(title, "-"), *([escape(rest), ""] if rest else [])]
        at = section
        if namespace != space:
            space = namespace
            lines += [f".. cpp:namespace:: {namespace}", ""]
        run.append(item)
    flush()
    page = out / file.replace(".h", ".rst")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines))
