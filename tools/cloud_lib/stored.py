# SPDX-License-Identifier: Apache-2.0
"""Settings that one process writes and another reads."""

import dataclasses
import json
from typing import Self

from cloud_lib import errors


class Stored:
    """Converts a dataclass that has a tuple ``extra`` to JSON and back."""

    def to_json(self) -> str:
        """Return the text that :meth:`from_json` reads."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the settings in a text.

        :raises errors.CloudError: another version of the program wrote the
            text, or a crash truncated it
        """
        try:
            values = json.loads(text)
            return cls(**{**values, 'extra': tuple(values['extra'])})
        except (KeyError, TypeError, ValueError) as error:
            raise errors.CloudError(
                'the settings are damaged or were written by another version '
                f'({error})') from error

    @classmethod
    def read(cls, path: str) -> Self:
        """Return the settings in a file.

        :raises errors.CloudError: as :meth:`from_json`
        """
        with open(path) as file:
            return cls.from_json(file.read())
