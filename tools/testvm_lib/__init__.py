# SPDX-License-Identifier: Apache-2.0
"""The parts of ``tools/testvm``: an emulated machine for one command.

``guest`` has the scripts that run in the machine.
"""
