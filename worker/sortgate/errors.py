"""Everything Sortgate raises on purpose.

::

    SortgateError
    ├── ConfigurationError          a setting, option or queue name is wrong
    ├── DataError                   a data file cannot be read or learned from
    ├── TrainingError               training cannot go on (diverged, nothing to learn)
    ├── BundleError                 a bundle cannot be used
    │   ├── BundleNotFoundError     no bundle at that path
    │   ├── BundleFormatError       manifest unreadable, or of an unknown format version
    │   ├── BundleIntegrityError    a file is missing, extra or not the one the manifest names; golden texts differ
    │   ├── BundleSignatureError    no trusted key has signed it as it is
    │   └── UnsafeModelError        the ONNX file holds what we refuse to run
    ├── PluginError                 a plugin or component cannot be used
    │   ├── PluginLoadError         importing or registering a plugin failed
    │   ├── PluginNotAllowedError   the allow-list leaves the plugin out
    │   ├── PluginVersionError      installed, but not the version the bundle was made with
    │   ├── UnknownComponentError   nobody registered that name
    │   ├── DuplicateComponentError two distributions registered one name
    │   └── ComponentParamsError    a component refused its parameters
    ├── TextError                   this one text cannot be classified; its neighbours can
    │   ├── EmptyTextError          nothing is left to classify
    │   ├── TextTooLongError        over a limit of the bundle
    │   └── ComponentError          a component raised, or returned the wrong type
    ├── ComponentBrokenError        a component fails here on the bundle's own golden texts
    ├── InferenceError              ONNX Runtime failed on a batch that looked good
    ├── MessageError                a request on a stream breaks the wire format
    └── ClientError                 a client call did not get its answer
        ├── BrokerError             Redis is absent, refuses or broke off (retriable)
        ├── QueueFullError          the queue or Redis's memory is at its limit (retriable)
        ├── ResultTimeoutError      no result within the time given (retriable)
        └── ResultError             the result has a status other than ``ok``
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: What code of a plugin may raise and must not end a process with: ``sys.exit`` raises no ``Exception``.
FOREIGN = (Exception, SystemExit, GeneratorExit)


class SortgateError(Exception):
    """Base of every error below; the command line prints it as one line."""

    #: True when the same call may succeed later without any change by the caller.
    retriable = False
    #: Exit status of a command that ends with this error.
    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by attributes, so that subclasses may take what arguments they like."""
        return (_restore, (type(self), self.args, self.__dict__))


def _restore(kind: type[SortgateError], args: tuple[Any, ...], attributes: dict[str, Any]) -> SortgateError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class ConfigurationError(SortgateError):
    """A setting, an option or a queue name is wrong."""

    exit_code = 78  # EX_CONFIG of sysexits.h: a supervisor should not restart at once


class DataError(SortgateError):
    """A data file cannot be read, or holds nothing that can be learned."""


class TrainingError(SortgateError):
    """Training cannot go on."""


class BundleError(SortgateError):
    """A bundle cannot be used."""

    exit_code = 78


class BundleNotFoundError(BundleError):
    """There is no bundle at that path."""


class BundleFormatError(BundleError):
    """The manifest is unreadable or of an unknown format version."""


class BundleIntegrityError(BundleError):
    """A file of the bundle is missing, extra or changed, or the golden texts give other answers."""


class BundleSignatureError(BundleError):
    """The bundle is unsigned, signed by nobody who is trusted, or not the one that was signed."""


class UnsafeModelError(BundleError):
    """The ONNX file holds external data, an operator outside the allow-list, or is malformed."""


class PluginError(SortgateError):
    """A plugin or one of its components cannot be used."""

    exit_code = 78


class PluginLoadError(PluginError):
    """Importing a plugin, or calling one of its registration hooks, failed."""


class PluginNotAllowedError(PluginError):
    """The allow-list (``SORTGATE_PLUGINS``) leaves out a plugin that is needed."""


class PluginVersionError(PluginError):
    """A plugin is installed in another version than the bundle was made with."""


class UnknownComponentError(PluginError):
    """Nobody registered a component of that name."""


class DuplicateComponentError(PluginError):
    """Two plugins registered something under one name.

    Attributes:
        name: the name.
        distributions: of both.
    """

    def __init__(self, message: str, name: str, distributions: Sequence[str]) -> None:
        super().__init__(message)
        self.name = name
        self.distributions = tuple(distributions)


class ComponentParamsError(PluginError):
    """A component's factory refused its parameters."""


class TextError(SortgateError):
    """One text cannot be classified; its neighbours in the batch can.

    Attributes:
        code: machine-readable reason, the ``code`` field of the wire format.
    """

    code = "text_error"


class EmptyTextError(TextError):
    """Nothing is left to classify once the text is normalized and tokenized."""

    code = "empty_text"


class TextTooLongError(TextError):
    """The text is over a limit of the bundle, before or after normalizing."""

    code = "text_too_long"


class ComponentError(TextError):
    """A component raised on this text, or returned the wrong type.

    The message never holds the text: it names the component and the type of the exception.

    Attributes:
        component: the component's registered name.
        kind: its place in the text path, normalizer, tokenizer, filter or postprocessor.
        plugin: distribution that provided it, and its version.
    """

    code = "component_failed"

    def __init__(self, message: str, component: str, kind: str = "", plugin: str = "") -> None:
        super().__init__(message)
        self.component = component
        self.kind = kind
        self.plugin = plugin


class ComponentBrokenError(SortgateError):
    """A component fails on text after text, and on its bundle's golden texts, too: the texts are not at fault.

    Nothing of the batch is answered. Its texts belong to workers where the component works.
    """

    retriable = True


class InferenceError(SortgateError):
    """ONNX Runtime failed on a batch whose texts all passed the text path; the message holds no text."""


class MessageError(SortgateError):
    """A request on a stream breaks the wire format.

    Attributes:
        code: machine-readable reason, the ``code`` field of the result.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


#: What keeps a process from serving at all; anything else that answering raises is the doing of its texts.
FATAL = (BundleError, PluginError, ConfigurationError)


class ClientError(SortgateError):
    """A client call did not get its answer.

    Attributes:
        submitted: ids of the same call's texts that are enqueued and will be answered.
        unknown: ids whose enqueueing has an unknown outcome (the link broke before the reply came); submitting
            them again with the same ids is safe.
    """

    def __init__(self, message: str, *, submitted: Sequence[str] = (), unknown: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.submitted = list(submitted)
        self.unknown = list(unknown)


class BrokerError(ClientError):
    """Redis is absent, refuses us, or the link broke."""

    retriable = True


class QueueFullError(ClientError):
    """The queue is at its bound, or Redis is out of memory; of the chunk it refused, nothing was enqueued."""

    retriable = True


class ResultTimeoutError(ClientError):
    """No result came within the time given; the text may still be answered later."""

    retriable = True


class ResultError(ClientError):
    """A text was answered with a status other than ``ok``.

    Attributes:
        status: ``error``, ``dead``, ``rejected`` or ``expired``.
        code: machine-readable reason.
    """

    def __init__(self, status: str, code: str, message: str) -> None:
        super().__init__(f"{status} ({code}): {message}")
        self.status = status
        self.code = code
