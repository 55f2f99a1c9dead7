# SPDX-License-Identifier: Apache-2.0
"""The check of links in the manual finds what leads nowhere."""

import pathlib

import ddt
import fixtures
from test_lib import html

from tests import base


@ddt.ddt
class TestFaults(base.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path).resolve()
        (self.folder / 'admin').mkdir()
        (self.folder / 'picture.svg').write_text('<svg/>')
        (self.folder / 'index.html').write_text('<h1 id="top">Top</h1>')

    def faults(self, text):
        (self.folder / 'admin/page.html').write_text(text)
        return list(html.faults(self.folder))

    @ddt.data('<a href="../index.html#top">', '<img src="../picture.svg">',
              '<a href="#here" id="here">', '<a href="#">',
              '<a href="https://example.org/none.html">', '<a href="">')
    def test_links_that_lead_somewhere(self, text):
        self.assertEqual([], self.faults(text))

    @ddt.data(('<a href="../none.html">', 'no such file'),
              ('<img src="picture.svg">', 'no such file'),
              ('<a href="../index.html#none">', 'no such anchor'),
              ('<a href="#none">', 'no such anchor'))
    @ddt.unpack
    def test_links_that_lead_nowhere(self, text, fault):
        found, = self.faults(text)
        self.assertTrue(found.startswith('admin/page.html: '), found)
        self.assertIn(fault, found)
