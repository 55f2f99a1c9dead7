# SPDX-License-Identifier: Apache-2.0
"""Configuration of Sphinx for the release notes."""

project = 'cinder-lvm-driver release notes'
author = 'the cinder-lvm-driver developers'
project_copyright = author

extensions = ['reno.sphinxext']
html_theme = 'alabaster'
html_show_sourcelink = False
