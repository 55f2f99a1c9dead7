#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check the files of this tree for what no linter checks.

usage: tools/check_tree.py CHECK [FILE...]

Without files it checks all files that git does not ignore. The hooks of
.pre-commit-config.yaml run one check each.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import os
import pathlib
import subprocess
import sys

PACKAGE = pathlib.PurePath('cinder_lvm_driver')
UNIT_TESTS = pathlib.PurePath('tests/unit')
# Recorded output of other programs, which stays as it is.
RECORDED = pathlib.PurePath('tests/samples')
# reno creates these files and joins them to one document.
NOTES = pathlib.PurePath('releasenotes/notes')
LICENCE_TAG = 'SPDX-License-Identifier: Apache-2.0'
# debian/copyright names the licence of the files beside it, as Debian's tools
# want it; some of these files cannot hold a comment.
PACKAGING = pathlib.PurePath('debian')
# The licence tag may follow a shebang and an encoding line.
LICENCE_LINES = 4
# Names that do not tell what is in a module.
VAGUE = frozenset(['common', 'helper', 'helpers', 'misc', 'util', 'utils'])

Problems = Iterator[str]


def _lines(path: pathlib.Path) -> list[str] | None:
    """Return the lines of a file with their ends, None if it is binary."""
    try:
        with path.open(encoding='utf-8', newline='') as file:
            text = file.read()
    except UnicodeDecodeError:
        return None
    return None if '\0' in text else text.splitlines(keepends=True)


def check_text(path: pathlib.Path) -> Problems:
    """No trailing blanks, Unix line ends, one newline at the end."""
    lines = _lines(path)
    if not lines or path.is_relative_to(RECORDED):
        return
    for number, line in enumerate(lines, 1):
        if '\r' in line:
            yield f'{path}:{number}: carriage return'
        elif line.rstrip('\n') != line.rstrip():
            yield f'{path}:{number}: blanks at the end of the line'
    if not lines[-1].endswith('\n'):
        yield f'{path}: no newline at the end of the file'
    elif not lines[-1].strip():
        yield f'{path}: empty lines at the end of the file'


def check_programs(path: pathlib.Path) -> Problems:
    """A file is executable if and only if it starts with a shebang."""
    with path.open('rb') as file:
        has_shebang = file.read(2) == b'#!'
    is_executable = bool(path.stat().st_mode & 0o100)
    if has_shebang and not is_executable:
        yield f'{path}: has a shebang but is not executable (chmod +x)'
    if is_executable and not has_shebang:
        yield f'{path}: is executable but has no shebang (chmod -x)'


def check_licence(path: pathlib.Path) -> Problems:
    """Every file that can hold a comment names its licence."""
    if (path.name == 'LICENSE' or path.suffix == '.json'
            or any(map(path.is_relative_to, (RECORDED, NOTES, PACKAGING)))):
        return
    lines = _lines(path)
    if lines and LICENCE_TAG not in ''.join(lines[:LICENCE_LINES]):
        yield f'{path}: no "{LICENCE_TAG}" in the first lines'


def check_names(path: pathlib.Path) -> Problems:
    """The name of a module tells what is in it."""
    if path.suffix == '.py':
        parts = [*path.parts[1:-1], path.stem]
        for part in VAGUE.intersection(part.strip('_') for part in parts):
            yield f'{path}: "{part}" is vague; name what is in it'


def check_mirror(paths: Iterable[pathlib.Path]) -> Problems:
    """Each module of the package has a unit test of the same name."""
    paths = list(paths)
    for path in paths:
        if (not path.is_relative_to(PACKAGE) or path.suffix != '.py'
                or path.name == '__init__.py'):
            continue
        folder = UNIT_TESTS / path.parent.relative_to(PACKAGE)
        name = f'test_{path.stem.lstrip("_")}'
        if not any(other.parent == folder and other.suffix == '.py'
                   and (other.stem == name
                        or other.stem.startswith(name + '_'))
                   for other in paths):
            yield f'{path}: no unit test {folder / name}.py'


def check_packages(paths: Iterable[pathlib.Path]) -> Problems:
    """Folders of modules are packages, or test discovery skips them."""
    paths = list(paths)
    folders = {folder for path in paths if path.suffix == '.py'
               and path.parts[0] in (PACKAGE.name, UNIT_TESTS.parts[0])
               for folder in path.parents if folder.name}
    for folder in sorted(folders - {path.parent for path in paths
                                    if path.name == '__init__.py'}):
        yield f'{folder}: has modules but no __init__.py'


FILE_CHECKS: dict[str, Callable[[pathlib.Path], Problems]] = {
    'text': check_text,
    'programs': check_programs,
    'licence': check_licence,
    'names': check_names,
}
TREE_CHECKS: dict[str, Callable[[Iterable[pathlib.Path]], Problems]] = {
    'mirror': check_mirror,
    'packages': check_packages,
}


def tree_files() -> list[pathlib.Path]:
    """Return all files that git does not ignore."""
    listing = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others',
         '--exclude-standard'],
        check=True, stdout=subprocess.PIPE).stdout
    paths = sorted({pathlib.Path(os.fsdecode(name))
                    for name in listing.split(b'\0') if name})
    return [path for path in paths if path.is_file()]


def main(arguments: list[str]) -> int:
    """Run one check and print its findings; return the exit status."""
    if not arguments or arguments[0] not in (*FILE_CHECKS, *TREE_CHECKS):
        print(__doc__, file=sys.stderr)
        print('checks:', *FILE_CHECKS, *TREE_CHECKS, file=sys.stderr)
        return 2
    check, *names = arguments
    paths = [pathlib.Path(name) for name in names] or tree_files()
    if check in TREE_CHECKS:
        problems = list(TREE_CHECKS[check](paths))
    else:
        problems = [problem for path in paths if not path.is_symlink()
                    for problem in FILE_CHECKS[check](path)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
