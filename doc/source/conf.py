# SPDX-License-Identifier: Apache-2.0
"""Configuration of Sphinx for the manual."""

import contextlib
import pathlib
import sys

from pbr import packaging

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE / '_extensions')]

project = 'cinder-lvm-driver'
author = 'the cinder-lvm-driver developers'
project_copyright = author
# From the last tag, the PKG-INFO of a source archive, or PBR_VERSION.
with contextlib.chdir(HERE.parents[1]):
    release = version = packaging.get_version(project)

extensions = [
    'openstackdocstheme',
    'sphinx.ext.autodoc',
    'log_messages',
    'option_table',
    'release_notes',
    'results_table',
    'upstream_table',
]
exclude_patterns = ['_extensions', '_templates']
# The header and the footer of the theme lead to pages of OpenStack, and name
# another licence. The templates here replace them.
templates_path = ['_templates']
html_theme = 'openstackdocs'
html_theme_options = {
    'analytics_tracking_code': '',
    'display_badge': False,
    'sidebar_search': True,
}
html_static_path = ['_static']
html_css_files = ['custom.css']
html_title = f'{project} {release}'
# The project is not on opendev.org, and has no bug tracker.
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_repo_name = ''
# The manual is read from a checkout: no link to sources that are beside it.
html_show_sourcelink = False

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
