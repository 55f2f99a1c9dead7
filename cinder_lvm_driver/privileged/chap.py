# SPDX-License-Identifier: Apache-2.0
"""The name and secret that initiators log in with."""

import dataclasses

from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.privileged import verbs


@verbs.value
class Chap:
    """A CHAP name and secret."""

    username: str
    secret: str = dataclasses.field(repr=False)

    def validated(self) -> 'Chap':
        """Return the pair if LIO accepts it.

        :raises InvalidArgument: LIO does not; the message has no secret
        """
        return Chap(validation.chap_text('CHAP name', self.username),
                    validation.chap_text('CHAP secret', self.secret))

    def validated_for_tgt(self) -> 'Chap':
        """Return the pair if tgtd and tgt-admin accept it.

        :raises InvalidArgument: they do not; the message has no secret
        """
        return Chap(validation.tgt_chap_text('CHAP name', self.username),
                    validation.tgt_chap_text('CHAP secret', self.secret))
