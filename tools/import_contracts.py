# SPDX-License-Identifier: Apache-2.0
"""A type of import contract that reads the modules of a folder."""

import grimp
from importlinter.contracts import layers
from importlinter.domain import contract


class FolderContract(layers.LayersContract):
    """Layers of one package, which has a place for modules without a name.

    The layer ``*`` stands for every module of ``containers`` that no other
    layer names. As in a layer of ``layers``, these modules are independent of
    each other.
    """

    type_name = 'folder'

    def check(self, graph: grimp.ImportGraph,
              verbose: bool) -> contract.ContractCheck:
        """Compare the imports with the layers.

        :param graph: the imports of the tree
        :param verbose: whether to tell what is compared
        """
        named = {tail.name for layer in self.layers
                 for tail in layer.module_tails}
        children = graph.find_children(self.containers[0].expression)
        rest = {name.rpartition('.')[2] for name in children} - named
        self.layers = [
            layers.Layer({layers.ModuleTail(name) for name in rest})
            if layer.module_tails == {layers.ModuleTail('*')} else layer
            for layer in self.layers]
        return super().check(graph, verbose)
