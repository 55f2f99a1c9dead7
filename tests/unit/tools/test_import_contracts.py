# SPDX-License-Identifier: Apache-2.0
"""The import contracts that read a folder (tools/import_contracts.py)."""

import ddt
import grimp

import import_contracts
from tests import base

MODULES = ('below', 'one', 'two')


@ddt.ddt
class TestFolderContract(base.TestCase):

    def _check(self, importer, imported):
        graph = grimp.ImportGraph()
        for name in ('tree', *(f'tree.{name}' for name in MODULES)):
            graph.add_module(name)
        graph.add_import(importer=f'tree.{importer}',
                         imported=f'tree.{imported}')
        return import_contracts.FolderContract(
            'modules have layers', {'root_packages': ['tree']},
            {'containers': ['tree'], 'exhaustive': 'true',
             'layers': ['*', 'below']}).check(graph, verbose=False).kept

    def test_modules_without_a_name_import_from_below(self):
        self.assertTrue(self._check('one', 'below'))

    @ddt.data(('one', 'two'), ('two', 'one'), ('below', 'two'))
    @ddt.unpack
    def test_modules_without_a_name_are_imported_by_none(self, importer,
                                                         imported):
        self.assertFalse(self._check(importer, imported))
