# SPDX-License-Identifier: Apache-2.0
"""The parts of ``tools/bench`` on the machine that runs it.

``launch`` boots a test machine for each run of ``plan``. There the package
``benchmarks`` measures. ``figures`` keeps what it found, ``tables`` and
``plots`` show it.
"""
