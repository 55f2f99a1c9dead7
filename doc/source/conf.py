# SPDX-License-Identifier: Apache-2.0
"""Configuration of Sphinx for the manual."""

import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE / '_extensions')]

project = 'cinder-lvm-driver'
author = 'the cinder-lvm-driver developers'
project_copyright = author

extensions = [
    'sphinx.ext.autodoc',
    'option_table',
    'release_notes',
    'results_table',
    'upstream_table',
]
exclude_patterns = ['_extensions']
html_theme = 'alabaster'
html_theme_options = {
    'description': 'A volume driver for OpenStack Cinder that serves LVM',
    'fixed_sidebar': True,
}
# The manual is read from a checkout: no link to sources that are beside it.
html_show_sourcelink = False

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
