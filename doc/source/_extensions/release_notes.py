# SPDX-License-Identifier: Apache-2.0
"""The directive ``changes``: the release notes of all releases.

A source archive has them in ``CHANGES.rst``. In a clone, reno reads them from
the notes and the tags.
"""

import pathlib
import re
import subprocess

from docutils import nodes
from docutils import statemachine
from sphinx.util import docutils
from sphinx.util import nodes as sphinx_nodes

_TREE = pathlib.Path(__file__).parents[3]
_ARCHIVED = _TREE / 'CHANGES.rst'


def _read():
    """Return the release notes as reStructuredText."""
    if _ARCHIVED.exists():
        return _ARCHIVED.read_text()
    return subprocess.run(
        [_TREE / 'tools/release_history', 'reno', '--quiet', 'report',
         '--no-show-source'],
        check=True, stdout=subprocess.PIPE, text=True).stdout


def _lines(text):
    """Yield the lines below the title, without reno's link targets."""
    _, _, text = text.partition('\n\n')
    for line in text.splitlines():
        if not re.match(r'\.\. _.*:$', line):
            yield line


class Changes(docutils.SphinxDirective):
    """Shows the release notes, one section for each release."""

    def run(self):
        """Return the nodes that replace the directive."""
        for note in (_TREE / 'releasenotes/notes').iterdir():
            self.env.note_dependency(str(note))
        lines = statemachine.StringList()
        for line in _lines(_read()):
            lines.append(line, 'releasenotes/notes')
        section = nodes.section()
        section.document = self.state.document
        sphinx_nodes.nested_parse_with_titles(
            self.state, lines, section, self.content_offset)
        return section.children


def setup(app):
    """Register the directive (Sphinx's protocol of extensions)."""
    app.add_directive('changes', Changes)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
