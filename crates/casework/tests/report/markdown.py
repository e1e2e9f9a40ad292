"""Renders Markdown as tickets do, with everything linked that looks like a link, and prints as JSON which
elements came of it and where links lead."""

import json
import sys
from html.parser import HTMLParser

from markdown_it import MarkdownIt


class Seen(HTMLParser):
    def __init__(self):
        super().__init__()
        self.elements, self.links, self.text, self.code = set(), [], [], 0

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.links.extend(value for name, value in attrs if name in ("href", "src"))
        self.code += tag in ("code", "pre")

    def handle_endtag(self, tag):
        self.code -= tag in ("code", "pre")

    def handle_data(self, data):
        if not self.code:
            self.text.append(data)


seen = Seen()
seen.feed(MarkdownIt("gfm-like").render(sys.stdin.read()))
words = [word for text in seen.text for word in text.split()]
json.dump(
    {
        "elements": sorted(seen.elements),
        "links": seen.links,
        "mentions": [word for word in words if "@" in word or word.startswith("#")],
    },
    sys.stdout,
)
