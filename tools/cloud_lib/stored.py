# SPDX-License-Identifier: Apache-2.0
"""Settings that one program writes down and another one reads."""

import dataclasses
import json
from typing import Self

from cloud_lib import errors


class Stored:
    """Gives a dataclass with a field ``extra``, a tuple, a text of itself."""

    def to_json(self) -> str:
        """Return the text that :meth:`from_json` reads."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the settings that were written as text.

        :raises errors.CloudError: another version of this has written them,
            or a crash has left less than was written
        """
        try:
            values = json.loads(text)
            return cls(**{**values, 'extra': tuple(values['extra'])})
        except (KeyError, TypeError, ValueError) as error:
            raise errors.CloudError(
                'the settings are damaged or those of another version '
                f'({error})') from error
