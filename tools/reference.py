"""Writes docs/reference.md from the docstrings and types of what is public."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "python" / "gohttp"
HEAD = """# Reference

Made by `make docs` from the docstrings; do not edit. [native.md](native.md) tells the same as a
story, [middleware.md](middleware.md), [c-handlers.md](c-handlers.md) and
[configuration.md](configuration.md) tell more of their parts.

What is not said to be for a certain thread may be called from any.
"""


@dataclass(frozen=True)
class Entry:
    """A public name: where its source is, and what it is called by those who import it."""

    file: str
    name: str
    shown: str


CHAPTERS = {
    "Serving": [
        Entry("_run.py", "run", "gohttp.run"),
        Entry("_native_api.py", "shutdown", "gohttp.shutdown"),
        Entry("server.py", "Server", "gohttp.Server"),
        Entry("testing.py", "serve", "gohttp.testing.serve"),
    ],
    "Routing": [
        Entry("mux.py", "route", "gohttp.route"),
        Entry("mux.py", "Mux", "gohttp.Mux"),
    ],
    "Requests": [
        Entry("_gohttp.pyi", "Request", "gohttp.Request"),
        Entry("_gohttp.pyi", "Headers", "gohttp.Headers"),
        Entry("_request.py", "Values", "gohttp.Values"),
        Entry("_form.py", "Form", "gohttp.Form"),
        Entry("_form.py", "FormFile", "gohttp.FormFile"),
    ],
    "Responses": [
        Entry("_gohttp.pyi", "ResponseWriter", "gohttp.ResponseWriter"),
        Entry("_response.py", "EventStream", "gohttp.EventStream"),
    ],
    "WebSockets": [
        Entry("_gohttp.pyi", "WebSocket", "gohttp.WebSocket"),
        Entry("_websocket.py", "AsyncWebSocket", "gohttp.AsyncWebSocket"),
    ],
    "Middleware": [
        Entry("middleware.py", name, f"gohttp.middleware.{name}")
        for name in (
            "basic_auth",
            "body_limit",
            "compress",
            "cors",
            "rate_limit",
            "recover",
            "request_id",
        )
    ],
    "Handlers in C": [
        Entry("c.py", name, f"gohttp.c.{name}") for name in ("api", "address", "include")
    ],
    "Exceptions": [
        Entry("__init__.py", "BadRequest", "gohttp.BadRequest"),
        Entry("__init__.py", "MissingValue", "gohttp.MissingValue"),
        Entry("_timeout.py", "RequestTimeout", "gohttp.RequestTimeout"),
        Entry("_websocket.py", "WebSocketClosed", "gohttp.WebSocketClosed"),
        Entry("__init__.py", "GohttpError", "gohttp.GohttpError"),
    ],
}

# What stands at a module's end under another name.
SAME_AS = {("mux.py", "route"): ("Mux", "route")}
# What the server itself calls.
INTERNAL = {"Mux.has_asgi_apps", "Mux.thaw"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = Function | ast.ClassDef


def page() -> str:
    """The whole of it."""
    lines = [HEAD, contents()]
    for chapter, entries in CHAPTERS.items():
        lines.append(f"\n## {chapter}\n")
        for entry in entries:
            lines += told(entry)
    return "\n".join(lines).rstrip() + "\n"


def contents() -> str:
    rows = ["| | |", "|---|---|"]
    for chapter, entries in CHAPTERS.items():
        links = ", ".join(f"[`{e.shown}`](#{anchor(e.shown)})" for e in entries)
        rows.append(f"| {chapter} | {links} |")
    return "\n".join(rows)


def anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")


def told(entry: Entry) -> Iterator[str]:
    body = ast.parse((PACKAGE / entry.file).read_text(encoding="utf-8")).body
    if within := SAME_AS.get((entry.file, entry.name)):
        body = nodes(body, within[0])[0].body
    found = nodes(body, entry.name)
    yield f"### {entry.shown}\n"
    if isinstance(found[0], ast.ClassDef):
        yield from told_class(entry, found[0])
    else:
        functions = [node for node in found if not isinstance(node, ast.ClassDef)]
        yield code([signature(node, entry.shown) for node in public_forms(functions)])
        yield text(functions, entry.shown)


def nodes(body: list[ast.stmt], name: str) -> list[Node]:
    found = [
        node
        for node in body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name == name
    ]
    if not found:
        raise SystemExit(f"tools/reference.py: there is no {name} any more")
    return found


def told_class(entry: Entry, node: ast.ClassDef) -> Iterator[str]:
    short = entry.shown.rpartition(".")[2]
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    made = [n for n in functions_of(node) if n.name in ("__init__", "__new__")]
    # What the server alone makes has no constructor that is told of.
    if made and (len(made[0].args.args + made[0].args.kwonlyargs) > 1 or short == "Mux"):
        yield code([signature(form, short) for form in public_forms(made)])
    if bases:
        yield f"Base: `{bases}`.\n"
    yield text([node], entry.shown)
    members: dict[str, list[Function]] = {}
    for member in functions_of(node):
        if not member.name.startswith("_") and f"{short}.{member.name}" not in INTERNAL:
            members.setdefault(member.name, []).append(member)
    for name, forms in members.items():
        is_property = any(
            ast.unparse(d).endswith("property") or ast.unparse(d).endswith(".setter")
            for d in forms[0].decorator_list
        )
        yield f"#### {short}.{name}\n"
        if is_property:
            returns = forms[0].returns
            yield code([f"{name}: {type_of(returns) if returns else 'Any'}"])
        else:
            yield code([signature(form, name) for form in public_forms(forms)])
        yield text(forms, f"{entry.shown}.{name}")


def functions_of(node: ast.ClassDef) -> list[Function]:
    return [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def public_forms(forms: list[Function]) -> list[Function]:
    """The overloads if there are any, else the one definition."""
    overloads = [n for n in forms if any(ast.unparse(d) == "overload" for d in n.decorator_list)]
    return overloads or forms[:1]


def text(forms: list[Function] | list[ast.ClassDef], what: str) -> str:
    texts = [t for node in forms if (t := ast.get_docstring(node))]
    if not texts:
        raise SystemExit(f"tools/reference.py: {what} has no docstring")
    # Examples in docstrings are indented; Markdown has them as they are.
    return texts[0] + "\n"


def code(lines: list[str]) -> str:
    return "\n".join(["```python", *lines, "```\n"])


def signature(node: Function, name: str) -> str:
    arguments = [part for part in parts_of(node.args) if part not in ("self", "cls", "/")]
    returns = None if node.name in ("__init__", "__new__") else node.returns
    arrow = f" -> {type_of(returns)}" if returns else ""
    kind = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    line = f"{kind}{name}({', '.join(arguments)}){arrow}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{kind}{name}(", *(f"    {part}," for part in arguments), f"){arrow}"])


WIDTH = 96


def parts_of(arguments: ast.arguments) -> Iterator[str]:
    """Each argument, with its type and default as they are usually set."""
    depth = start = 0
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if argument.annotation:
            argument.annotation = ast.parse(type_of(argument.annotation), mode="eval").body
    whole = ast.unparse(arguments) + ","
    for at, letter in enumerate(whole):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            part = whole[start:at].strip()
            yield part.replace("=", " = ", 1) if ":" in part else part
            start = at + 1


def type_of(annotation: ast.expr) -> str:
    """A type as written; one that is named before it is there stands in quotes in the source."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
