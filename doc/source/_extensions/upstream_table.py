# SPDX-License-Identifier: Apache-2.0
"""The directive ``upstream-table``: results of Cinder's own tests.

It shows the list that the unit tests check.
"""

from docutils import nodes
from docutils import statemachine
from sphinx.util import docutils

_TITLES = {'holds': 'Hold', 'differs': 'Differ by decision',
           'elsewhere': 'Test something else'}


def _lines(groups):
    """Yield the lines of reStructuredText that list the groups."""
    for outcome, title in _TITLES.items():
        chosen = [group for group in groups if group.outcome == outcome]
        yield f'**{title}: {sum(len(group.tests) for group in chosen)}**'
        yield ''
        for group in chosen:
            since = (f' (Cinder {group.since} and later; the test of older '
                     f'releases holds)' if group.since else '')
            yield group.reason + since
            yield ''
            for test in group.tests:
                yield f'* ``{test}``'
            yield ''


class UpstreamTable(docutils.SphinxDirective):
    """Lists Cinder's unit tests of its LVM driver with their outcomes."""

    def run(self):
        """Return the nodes that replace the directive."""
        from tests.unit.upstream import table
        self.env.note_dependency(table.__file__)
        lines = statemachine.StringList()
        for line in _lines(table.GROUPS):
            lines.append(line, table.__file__)
        container = nodes.container()
        self.state.nested_parse(lines, self.content_offset, container)
        return container.children


def setup(app):
    """Register the directive (Sphinx's protocol of extensions)."""
    app.add_directive('upstream-table', UpstreamTable)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
