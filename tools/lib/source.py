"""Reads source text just enough for the style rules: what is code, where functions begin and end.
SPDX-License-Identifier: Apache-2.0"""
import ast
import dataclasses
import re

LANGUAGES = {".c": "c", ".h": "c", ".swift": "swift", ".js": "js", ".mjs": "js", ".css": "css",
             ".py": "python", ".sh": "shell", ".html": "html"}


@dataclasses.dataclass
class Function:
    """A function of a file: lines count from 1; body is "" for a declaration."""
    name: str
    first_line: int
    last_line: int
    parameters: int
    body: str


def language_of(name: str, text: str) -> str | None:
    """The language of a file by its name, or by its first line for a script."""
    for suffix, language in LANGUAGES.items():
        if name.endswith(suffix):
            return language
    if text.startswith("#!"):
        return "python" if "python" in text.split("\n", 1)[0] else "shell"
    return None


_C_TOKENS = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
_SWIFT_TOKENS = re.compile(
    r"//[^\n]*|/\*.*?\*/|#\"\"\".*?\"\"\"#|\"\"\"(?:\\.|.)*?\"\"\"|#\".*?\"#"
    r"|\"(?:\\\([^()\n]*(?:\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)[^()\n]*)*\)|\\.|[^\"\\\n])*\"",
    re.S)
_JS_TOKENS = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"
    r"|(?<=[=(,:!&|?;\[])\s*/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/", re.S)
_TOKENS = {"c": _C_TOKENS, "swift": _SWIFT_TOKENS, "js": _JS_TOKENS}


def mask(text: str, language: str) -> str:
    """The text with comments and strings blanked; positions and lines stay."""
    pattern = _TOKENS.get(language)
    if not pattern:
        return text
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def closing(code: str, start: int) -> int:
    """The position of the bracket that closes the one at `start`; the end if none does."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    opener, closer = code[start], pairs[code[start]]
    depth = 0
    for position in range(start, len(code)):
        if code[position] == opener:
            depth += 1
        elif code[position] == closer:
            depth -= 1
            if depth == 0:
                return position
    return len(code) - 1


def count_parameters(inside: str) -> int:
    """How many parameters a list has; commas inside brackets do not count."""
    if inside.strip() in ("", "void"):
        return 0
    depth, commas, previous = 0, 0, ""
    for character in inside.rstrip().rstrip(","):
        if character in "([{<":
            depth += 1
        elif character in ")]}" or (character == ">" and previous not in "-="):
            depth -= 1
        elif character == "," and depth == 0:
            commas += 1
        previous = character
    return commas + 1


def functions(text: str, language: str) -> list[Function]:
    """The functions of a file."""
    finders = {"c": _c_functions, "swift": _swift_functions, "js": _js_functions,
               "python": _python_functions}
    finder = finders.get(language)
    return finder(text) if finder else []


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _c_functions(text: str) -> list[Function]:
    code = mask(text, "c")
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                  code, flags=re.M)
    found, position = [], 0
    pattern = re.compile(r"([A-Za-z_]\w*)\s*\(|\{")
    while match := pattern.search(code, position):
        if match.group(0) == "{":
            position = closing(code, match.start()) + 1
            continue
        start = match.end() - 1
        end = closing(code, start)
        rest = re.compile(r"\s*(?:__attribute__\s*\(\(.*?\)\)\s*)*([{;]?)").match(code, end + 1)
        name, position = match.group(1), end + 1
        if name in ("__attribute__", "static_assert", "_Static_assert", "alignas"):
            continue
        if rest.group(1):
            opens = rest.end() - 1
            last = closing(code, opens) if rest.group(1) == "{" else opens
            found.append(Function(name, _line(code, match.start()), _line(code, last),
                                  count_parameters(code[start + 1:end]),
                                  code[opens:last + 1] if rest.group(1) == "{" else ""))
            position = last + 1
    return found


_SWIFT_DECLARATION = re.compile(
    r"(?<![.\w`])(?:func\s+(?P<name>[^\s(<]+)|(?P<other>init|subscript)[?!]?)\s*"
    r"(?:<[^({]*?>)?\s*\(")
_SWIFT_NEXT = re.compile(
    r"\n\s*(?:@|#|\}|(?:public|package|internal|private|fileprivate|static|mutating|func|var|let"
    r"|init|case|struct|enum|class|actor|protocol|extension|associatedtype|typealias)\b)")


def _swift_functions(text: str) -> list[Function]:
    code = mask(text, "swift")
    found = []
    for match in _SWIFT_DECLARATION.finditer(code):
        end = closing(code, match.end() - 1)
        opens = code.find("{", end)
        following = _SWIFT_NEXT.search(code, end)
        has_body = opens >= 0 and (not following or opens < following.start())
        last = closing(code, opens) if has_body else end
        found.append(Function(
            match.group("name") or match.group("other"), _line(code, match.start()),
            _line(code, last), count_parameters(code[match.end():end]),
            code[opens:last + 1] if has_body else ""))
    for match in re.finditer(r"\bvar\s+(\w+)\s*:\s*[^={\n]+\{", code):
        last = closing(code, match.end() - 1)
        found.append(Function(match.group(1), _line(code, match.start()), _line(code, last), 0,
                              code[match.end() - 1:last + 1]))
    return found


def _js_functions(text: str) -> list[Function]:
    code = mask(text, "js")
    found = []
    for match in re.finditer(r"([A-Za-z_$#][\w$]*)?\s*\(", code):
        end = closing(code, match.end() - 1)
        body = re.compile(r"\s*(?:=>\s*)?\{").match(code, end + 1)
        if not body or match.group(1) in ("if", "for", "while", "switch", "catch", "with"):
            continue
        last = closing(code, body.end() - 1)
        found.append(Function(match.group(1) or "(arrow)", _line(code, match.start()),
                              _line(code, last), count_parameters(code[match.end():end]),
                              code[body.end() - 1:last + 1]))
    return found


def _python_functions(text: str) -> list[Function]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            names = [a.arg for a in
                     arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
            count = len([n for n in names if n not in ("self", "cls")])
            found.append(Function(node.name, node.lineno, node.end_lineno or node.lineno, count,
                                  ast.get_source_segment(text, node) or ""))
    return found
