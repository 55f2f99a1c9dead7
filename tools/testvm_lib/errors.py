# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, each with the exit status it becomes."""

EXIT_USAGE = 2
EXIT_TIMEOUT = 124
EXIT_MACHINE = 125


class TestVMError(Exception):
    """A failure of the test machine itself, told in one sentence.

    :param sentence: what happened, for a person
    :param detail: further lines, for example the end of the console
    """

    status = EXIT_MACHINE

    def __init__(self, sentence: str, detail: str = '') -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


class UsageError(TestVMError):
    """An option or argument that makes no sense."""

    status = EXIT_USAGE


class PrepareError(TestVMError):
    """The kernel or the initramfs could not be had."""


class MachineError(TestVMError):
    """The machine failed to boot or died."""


class KernelDied(MachineError):
    """The kernel itself came to its end before anything of ours ran."""


class MachineTimeout(TestVMError):
    """CMD had not ended when the time was up."""

    status = EXIT_TIMEOUT


class Interrupted(BaseException):
    """A signal asked testvm itself to end.

    :param signum: the signal's number
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
