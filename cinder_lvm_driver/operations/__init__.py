# SPDX-License-Identifier: Apache-2.0
"""Cinder's verbs by subject; ``driver`` puts them together."""
