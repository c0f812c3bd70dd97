"""YAML as people hand it in: read strictly, whatever it is, and with an error that names the line.

The ordinary reader drops a key that stands twice, trips over what its own constructors cannot take, and makes a
billion entries of ten lines of aliases.
"""

from collections.abc import Iterator
from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor
from yaml.reader import ReaderError

# More than any study has: 500 grids of 500 entries.
MOST = 250_000
# Levels of mappings and lists; deeper ones run out of Python's stack.
DEEPEST = 50


class UnreadableError(ValueError):
    """What is wrong with a file as a whole, and where."""


def read(path: Path | str) -> tuple[yaml.Node | None, object]:
    """The nodes of a file, which know their lines, and its value. Raises UnreadableError."""
    node = None
    if (given := Path(path)).exists() and not (given.is_file() or given.is_dir()):
        raise UnreadableError(f"{path} cannot be read: it is no file")  # a pipe may never end
    try:
        text = given.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _check_size(node, path, {})
        return node, yaml.safe_load(text)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnreadableError(f"{path} cannot be read: it is not UTF-8 text") from None
    except RecursionError:
        raise UnreadableError(f"{path} is nested too deeply: at most {DEEPEST} levels") from None
    except yaml.YAMLError as error:
        raise UnreadableError(_said(path, error)) from None
    except UnreadableError:
        raise
    except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
        if node is None:
            raise UnreadableError(f"{path} is not YAML: {error}") from None  # an escape that is no character
        # What the tags and forms of YAML's own numbers and dates promise and do not hold.
        raise UnreadableError(_first_bad(node, path)) from None


def _said(path: Path | str, error: yaml.YAMLError) -> str:
    """What the reader says, in words of people who write such files."""
    if isinstance(error, ReaderError):
        return f"{path}: holds the character U+{int(error.character):04X}, which is not allowed in YAML"
    mark = getattr(error, "problem_mark", None)
    where = f", line {mark.line + 1}" if mark else ""
    said = getattr(error, "problem", None) or "not YAML"
    return f"{path}{where}: {said.replace('found undefined alias', 'an alias (*) of nothing,')}"


def _check_size(node: yaml.Node, path: Path | str, known: dict[int, int], above: tuple[int, ...] = ()) -> int:
    """The entries of a node. Raises UnreadableError where aliases make a file larger or deeper than any study is.

    known: the entries of nodes that were counted already; above: the nodes that this one stands in.
    """
    line = f"{path}, line {node.start_mark.line + 1}"
    if id(node) in above:
        raise UnreadableError(f"{line}: an alias that contains itself")
    if len(above) > DEEPEST:
        raise UnreadableError(f"{path} is nested too deeply: at most {DEEPEST} levels")
    if id(node) not in known:
        inner = (_check_size(each, path, known, (*above, id(node))) for each in _inside(node))
        known[id(node)] = 1 + sum(inner)
        if known[id(node)] > MOST:
            raise UnreadableError(f"{line}: its aliases make more than {MOST} entries of it")
    return known[id(node)]


def _inside(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from (key, value)
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _first_bad(node: yaml.Node, path: Path | str) -> str:
    """The message for a value that YAML's own constructors cannot make."""
    for inner in _inside(node):
        if said := _first_bad(inner, path):
            return said
    where = f"{path}, line {node.start_mark.line + 1}"
    if isinstance(node, yaml.ScalarNode):
        try:
            SafeConstructor().construct_object(node)
        except Exception:
            kind = node.tag.rsplit(":", 1)[-1]
            value = node.value if len(node.value) <= 40 else node.value[:37] + "..."
            return f"{where}: {value!r} is no {kind}, which YAML takes it for: quote it"
    return ""
