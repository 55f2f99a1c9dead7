# SPDX-License-Identifier: Apache-2.0
"""Tests against the real kernel, in the test machine only."""
