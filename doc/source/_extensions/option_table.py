# SPDX-License-Identifier: Apache-2.0
"""The directive ``option-table``: a back end's options, from the code.

Its argument is ``own`` for the options of this driver only, or ``shared`` for
those that Cinder's in-tree driver has, too.

The directive of oslo.config finds options through the entry points of
installed packages, but the manual is built from a checkout.
"""

from docutils import nodes
from docutils import statemachine
from sphinx.util import docutils


def _lines(option):
    """Yield the lines of reStructuredText that describe one option."""
    facts = [f'type: {option.type}']
    if option.default in (None, ''):
        facts.append('no default')
    else:
        facts.append(f'default: ``{option.default}``')
    yield f'``{option.name}``'
    yield '    ' + ', '.join(facts)
    yield ''
    for line in option.help.splitlines():
        yield '    ' + line
    yield ''


class OptionTable(docutils.SphinxDirective):
    """Describes every option that the argument selects."""

    required_arguments = 1

    def run(self):
        """Return the nodes that replace the directive."""
        from cinder_lvm_driver import options
        self.env.note_dependency(options.__file__)
        lines = statemachine.StringList()
        wanted = [option for option in options.driver_options()
                  if (option in options.OWN_OPTIONS)
                  == (self.arguments[0] == 'own')]
        for option in sorted(wanted, key=lambda opt: opt.name):
            for line in _lines(option):
                lines.append(line, options.__file__)
        container = nodes.container()
        self.state.nested_parse(lines, self.content_offset, container)
        return container.children


def setup(app):
    """Register the directive (Sphinx's protocol of extensions)."""
    app.add_directive('option-table', OptionTable)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
