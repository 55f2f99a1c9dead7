# SPDX-License-Identifier: Apache-2.0
"""What the driver does with Cinder's objects, one module for each subject.

Each function takes the back end first and raises the errors of this package;
the driver's verbs call one function each.
"""
