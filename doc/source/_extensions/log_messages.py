# SPDX-License-Identifier: Apache-2.0
"""The directive ``log-messages``: what the driver logs, from its source.

Its argument selects messages: ``down`` for the reasons why a back end is
down, ``advice`` for what it advises at start, ``warning`` and ``error`` for
all other messages of these levels.

The source is parsed, not imported. A message that the directive cannot read
is a warning of the build, so that none is missing.
"""

import ast
import collections
import pathlib
import re

from docutils import nodes
from sphinx.util import docutils
from sphinx.util import logging

_PACKAGE = pathlib.Path(__file__).parents[3] / 'cinder_lvm_driver'
_LEVELS = {'warning': 'warning', 'error': 'error', 'critical': 'error',
           'exception': 'error'}
# Functions of layouts and targets that return what another function logs, and
# what it is.
_SENTENCES = {'fault': 'down', 'advice': 'advice', 'complaints': 'warning'}
# What stands for a value of the log line.
_VALUE = '…'
LOG = logging.getLogger(__name__)


def _text(node):
    """Return a string of the source with its values left out, or None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r'%(\(\w+\))?[-#0-9.]*[a-zA-Z]', _VALUE, node.value)
    if isinstance(node, ast.JoinedStr):
        return ''.join(part.value if isinstance(part, ast.Constant)
                       else _VALUE for part in node.values)
    return None


def _strings(function, kind):
    """Yield the sentences that a function returns, with their kinds.

    A function that returns a dictionary gives the levels as its values.
    """
    for node in ast.walk(function):
        pair = kind, None
        if isinstance(node, (ast.Return, ast.Yield)):
            pair = kind, _text(node.value)
        elif (isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Subscript)):
            pair = (ast.unparse(node.value).rpartition('.')[2].lower(),
                    _text(node.targets[0].slice))
        if pair[1] and ' ' in pair[1]:
            yield pair


def _kind_of(path, function):
    """Return what the sentences of a function are, or None."""
    if function.name.endswith('_complaint'):
        return 'error'
    if path.parent.name in ('layouts', 'targets'):
        for word, kind in _SENTENCES.items():
            if re.fullmatch(rf'(\w+_)?{word}', function.name):
                return kind
    return None


def _assigned(function, name):
    """Yield the strings that a function gives to one of its variables."""
    for node in ast.walk(function):
        if (isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and node.targets[0].id == name):
            yield _text(node.value)


def _logged(function):
    """Yield the kinds and texts that a function logs itself."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called == 'errors.attempt':
            text = _text(node.args[0])
            if text is not None:
                yield 'error', text
            continue
        owner, _, method = called.rpartition('.')
        if owner != 'LOG' or method not in _LEVELS:
            continue
        text = _text(node.args[0])
        if text == _VALUE:
            # The sentence is made elsewhere, if not in this function.
            for text in _assigned(function, ast.unparse(node.args[1])):
                if text is not None:
                    yield _LEVELS[method], text
        elif text is None:
            LOG.warning('log_messages.py cannot read the message of %s in '
                        '%s', called, function.name)
        else:
            yield _LEVELS[method], text


def messages(package=_PACKAGE):
    """Return the messages of the modules in a folder by their kind."""
    found = collections.defaultdict(set)
    for path in package.rglob('*.py'):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            pairs = list(_logged(function))
            kind = _kind_of(path, function)
            if kind is not None:
                pairs += _strings(function, kind)
            for kind, text in pairs:
                # Not one that has values only.
                if re.search('[a-z]', text):
                    found[kind].add(text)
    return found


class LogMessages(docutils.SphinxDirective):
    """Lists the messages that the argument selects."""

    required_arguments = 1

    def run(self):
        """Return the nodes that replace the directive."""
        for path in _PACKAGE.rglob('*.py'):
            self.env.note_dependency(str(path))
        items = nodes.bullet_list()
        for text in sorted(messages()[self.arguments[0]], key=str.lower):
            items += nodes.list_item('', nodes.paragraph(text=text))
        return [items]


def setup(app):
    """Register the directive (Sphinx's protocol of extensions)."""
    app.add_directive('log-messages', LogMessages)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
