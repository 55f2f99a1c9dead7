# SPDX-License-Identifier: Apache-2.0
"""Check the links and the images of built HTML pages."""

from collections.abc import Iterator
import html.parser
import pathlib
import urllib.parse



class _Page(html.parser.HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag: str,
                        attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ('href', 'src', 'data'):
                self.links.append(value)
            elif value and name in ('id', 'name'):
                self.anchors.add(value)


def faults(folder: pathlib.Path) -> Iterator[str]:
    """Yield links that lead to no file or no anchor, page by page.

    Links to other sites are not followed.
    """
    pages = {path: _Page(path) for path in folder.rglob('*.html')}
    for path, page in sorted(pages.items()):
        for link in page.links:
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = path
            if url.path:
                target = (path.parent
                          / urllib.parse.unquote(url.path)).resolve()
            name = path.relative_to(folder)
            if not target.is_file():
                yield f'{name}: {link}: there is no such file'
            elif (url.fragment and target in pages
                    and url.fragment not in pages[target].anchors):
                yield f'{name}: {link}: there is no such anchor'
