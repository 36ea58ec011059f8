"""Finds and reads the content that a scholar edits: agents/, prompts/ and eval/."""

from __future__ import annotations

import hashlib
import os
import secrets
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from multiplex.errors import ContentError, MultiplexError, UsageError, first_invalid
from multiplex.text.marks import Marks

if TYPE_CHECKING:
    from pydantic import BaseModel

    Model = TypeVar("Model", bound=BaseModel)

PROJECT = "multiplex-worldviews"
DEEPEST = 32  # levels of a YAML file; ours have six
TEXT_LIMIT = 1_000_000  # bytes; a content file is a page or two, never a megabyte


def file_version(path: Path) -> tuple[int, int] | None:
    """When a file was written (ns) and its size (bytes), which tell if it changed; None where it cannot be read."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


@cache
def content_root() -> Path:
    """The folder that holds agents/, prompts/ and eval/.

    The copy packed into the wheel wins; otherwise the checkout that this file stands in, told by
    its pyproject.toml. A stray `agents/` elsewhere on the path is never used.

    Raises:
        ContentError: neither is there.
    """
    package = Path(__file__).resolve().parent
    packed = package / "_content"
    if packed.is_dir():
        return packed
    checkout = package.parent
    try:
        project = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["project"]["name"]
    except (OSError, tomllib.TOMLDecodeError, KeyError):
        project = None
    if project == PROJECT:
        return checkout
    raise ContentError(packed, f"the content of {PROJECT} is missing; reinstall the package")


def read_text(path: Path, most: int = TEXT_LIMIT, why: str = "a content file is short text") -> str:
    """The UTF-8 text of a content file, or of another short one: of at most `most` bytes; `why` tells why no more.

    Raises:
        ContentError: it is absent, unreadable, too large, or not UTF-8.
    """
    try:
        if path.stat().st_size > most:
            raise ContentError(path, f"larger than {most:,} bytes; {why}")
        return path.read_text("utf-8")
    except OSError as error:
        raise ContentError(path, f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ContentError(path, f"is not UTF-8 text (byte {error.start})") from error


def read_yaml(path: Path) -> Any:
    """The plain data (no tags, no objects) of a YAML file.

    Raises:
        ContentError: it cannot be read, is not YAML, has aliases or nests too deep; the line is named.
    """
    import yaml

    text = read_text(path)
    try:
        _refuse_bombs(path, text)
        return yaml.load(text, Loader=_loader())  # noqa: S506  # a safe loader, the C one if built in
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        raise ContentError(path, f"not valid YAML: {getattr(error, 'problem', error)}", line=line) from error
    except ValueError as error:  # a day of month 13, a number of 5,000 digits
        raise ContentError(path, f"not valid YAML: {error}") from error


def _refuse_bombs(path: Path, text: str) -> None:
    """A few lines of aliases stand for billions of values, and deep nesting ends the interpreter's stack."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=_loader()):
        if isinstance(event, yaml.AliasEvent):
            problem = f"alias *{event.anchor}: aliases are not read; write the value out"
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            problem = f"nested deeper than {DEEPEST}" if depth > DEEPEST else ""
        else:
            depth -= isinstance(event, yaml.CollectionEndEvent)
            continue
        if problem:
            line = event.start_mark.line + 1 if event.start_mark is not None else None
            raise ContentError(path, problem, line=line)


def _loader() -> Any:
    """PyYAML's safe loader; its C form reads ten times as fast."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_model(path: Path, kind: type[Model]) -> Model:
    """A YAML file as a validated object of a pydantic model.

    Raises:
        ContentError: it cannot be read, is not YAML, or a field is wrong; the line and the field are named.
    """
    from pydantic import ValidationError

    data, tree = read_tree(path)
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        wrong = first_invalid(error)
        raise ContentError(path, wrong.problem, line=line_of(tree, wrong.place), field=wrong.field) from error


def read_tree(path: Path) -> tuple[Any, Any]:
    """The plain data of a YAML file and its nodes, which know their lines.

    Raises:
        ContentError: as from `read_yaml`, or a key stands twice; the line is named.
    """
    import yaml

    text = read_text(path)
    loader = _loader()(text)
    try:
        _refuse_bombs(path, text)
        tree = loader.get_single_node()
        _refuse_repeated_keys(path, tree)
        return (None if tree is None else loader.construct_document(tree)), tree
    except (yaml.YAMLError, ValueError):
        return read_yaml(path), None  # raises, with the line of the fault
    finally:
        loader.dispose()


def line_of(node: Any, place: tuple[int | str, ...]) -> int:
    """The line (from 1) of the deepest node on the way to a place that the file really holds."""
    import yaml

    for step in place:
        if isinstance(node, yaml.MappingNode):
            below = next((value for name, value in node.value if name.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            below = node.value[step]
        else:
            below = None
        if below is None:
            break
        node = below
    return int(node.start_mark.line) + 1 if node is not None else 1


def _refuse_repeated_keys(path: Path, node: Any) -> None:
    """YAML readers keep the last of two equal keys in silence: half a file would be lost."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        names = set()
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise ContentError(path, "a key is a list or a table; write a word", line=name.start_mark.line + 1)
            if name.value in names:
                raise ContentError(path, "key stands twice", line=name.start_mark.line + 1, field=str(name.value))
            names.add(name.value)
            _refuse_repeated_keys(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated_keys(path, value)


@cache
def _template(name: str) -> Template:
    return Template(read_text(content_root() / "prompts" / f"{name}.md"))


def prompt(name: str, /, **values: str) -> str:
    """The prompt `prompts/NAME.md` with its `$fields` filled in.

    Values are data: they are inserted once and never read as a template themselves.

    Raises:
        ContentError: the template is absent, or a field of it has no value.
    """
    try:
        return _template(name).substitute(values).strip()
    except (KeyError, ValueError) as error:
        raise ContentError(content_root() / "prompts" / f"{name}.md", f"bad or unfilled field {error}") from error


def marked_prompt(name: str, marks: Marks, /, **values: str) -> str:
    """As `prompt`, where `$marks` says which marks count in it.

    Raises:
        ContentError: as `prompt`.
    """
    return prompt(name, marks=prompt("marks", nonce=marks.nonce), **values)


def storable(text: str) -> str:
    """The text without what cannot be sent on or stored: halves of characters, which JSON may hold, and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def sha256(text: str) -> str:
    """Hex SHA-256 of a text's UTF-8 bytes: how records name the content they were made with."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@cache
def content_digest() -> str:
    """Hex SHA-256 over the names and bytes of all Markdown and YAML files of agents/, prompts/ and eval/."""
    root = content_root()
    folders = (root / name for name in ("agents", "prompts", "eval"))
    files = sorted(each for folder in folders for ending in ("md", "yaml") for each in folder.rglob(f"*.{ending}"))
    named = (f"{each.relative_to(root).as_posix()} {hashlib.sha256(each.read_bytes()).hexdigest()}" for each in files)
    return sha256("\n".join(named))


def check_apart(flag: str, output: Path | None, *read: Path | None) -> None:
    """Raises UsageError where the file that is to be written is one that is read, which would be lost."""
    if output is not None and any(each is not None and _is_same(output, each) for each in read):
        raise UsageError(f"{flag} {output}: this file is read, and would be lost; name another")


def _is_same(output: Path, read: Path) -> bool:
    return output.is_file() and read.is_file() and output.samefile(read)


@contextmanager
def open_draft(path: Path) -> Iterator[TextIO]:
    """A text file that takes its name only once it is whole; a device or pipe of that name is written to directly.

    The draft has a name that nobody can foresee and is made anew, and the finished file replaces a symbolic link:
    nobody who may write in the folder can lead the text into another file.

    Raises:
        MultiplexError: the disk refuses.
    """
    form: Any = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}  # half a character has no UTF-8
    try:
        if _is_device(path):
            with path.open("w", **form) as out:
                yield out
            return
        draft = path.with_name(f".multiplex-{secrets.token_hex(8)}.part")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "w", **form) as out:
                yield out
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise MultiplexError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_place(flag: str, path: Path) -> None:
    """Whether `open_draft` could write there, asked before what is to be written has been paid for.

    Raises:
        UsageError: it is a folder, or its folder is not there or not writable.
    """
    may = os.access(path, os.W_OK) if _is_device(path) else path.parent.is_dir() and os.access(path.parent, os.W_OK)
    if path.is_dir() or not may:
        raise UsageError(f"{flag} {path}: cannot be written there; does the folder exist? may you write in it?")


def _is_device(path: Path) -> bool:
    """Whether a path is no place for a file of its own: /dev/stdout (a link), /dev/null, a named pipe."""
    return path.absolute().parent in (Path("/dev"), Path("/dev/fd")) or (path.exists() and not path.is_file())
