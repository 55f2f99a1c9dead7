# SPDX-License-Identifier: Apache-2.0
"""Settings that one program writes down and another one reads."""

import dataclasses
import json
from typing import Self


class Stored:
    """Gives a dataclass with a field ``extra``, a tuple, a text of itself."""

    def to_json(self) -> str:
        """Return the text that :meth:`from_json` reads."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the settings that were written as text."""
        values = json.loads(text)
        values['extra'] = tuple(values['extra'])
        return cls(**values)
