# SPDX-License-Identifier: Apache-2.0
"""The directive ``openstack-results``: the recorded runs of tempest.

It reads the headers of the files that ``tools/openstack tempest --save``
wrote.
"""

import pathlib

from docutils import nodes
from docutils import statemachine
from sphinx.util import docutils

_FOLDER = 'openstack-results'
# All other runs are compared with these, so they come first.
_FIRST = 'upstream-'
_SHOWN = ('driver', 'settings', 'date', 'total', 'remark')


def _head(text):
    """Return the values in the header comments of a file, by name."""
    found = {}
    for line in text.splitlines():
        name, colon, value = line.removeprefix('# ').partition(': ')
        if line.startswith('# ') and colon:
            found[name] = value
    return found


def _lines(folder):
    """Yield the lines of reStructuredText that list the files."""
    paths = sorted(folder.glob('*.txt'), key=lambda path: (
        not path.name.startswith(_FIRST), path.name))
    for path in paths:
        head = _head(path.read_text())
        yield f':download:`{path.name} <{_FOLDER}/{path.name}>`'
        for name in _SHOWN:
            if name in head:
                yield f'    * {name}: {head[name]}'
        yield ''


class ResultsTable(docutils.SphinxDirective):
    """Lists the files of results with their headers."""

    def run(self):
        """Return the nodes that replace the directive."""
        source = pathlib.Path(self.env.doc2path(self.env.docname))
        folder = source.parent / _FOLDER
        lines = statemachine.StringList()
        for path in folder.glob('*.txt'):
            self.env.note_dependency(str(path))
        for line in _lines(folder):
            lines.append(line, str(folder))
        container = nodes.container()
        self.state.nested_parse(lines, self.content_offset, container)
        return container.children


def setup(app):
    """Register the directive (Sphinx's protocol of extensions)."""
    app.add_directive('openstack-results', ResultsTable)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
