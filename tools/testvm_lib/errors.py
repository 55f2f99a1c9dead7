# SPDX-License-Identifier: Apache-2.0
"""The exceptions of testvm and their exit statuses."""

EXIT_USAGE = 2
EXIT_TIMEOUT = 124
EXIT_MACHINE = 125


class TestVMError(Exception):
    """The test machine itself failed.

    :param sentence: reason and remedy
    :param detail: further lines, for example the end of the console
    """

    status = EXIT_MACHINE

    def __init__(self, sentence: str, detail: str = '') -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


class UsageError(TestVMError):
    """An option or argument is invalid."""

    status = EXIT_USAGE


class PrepareError(TestVMError):
    """The kernel or the initramfs could not be prepared."""


class MachineError(TestVMError):
    """The machine did not boot, or died."""


class KernelDied(MachineError):
    """The kernel died before the initramfs ran."""


class MachineTimeout(TestVMError):
    """The command did not end in time."""

    status = EXIT_TIMEOUT


class Interrupted(BaseException):
    """A signal stopped testvm; the argument is its number."""
