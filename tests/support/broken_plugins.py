"""Plugins of one file that are broken on purpose, one way each, and the check that must catch each of them."""

from __future__ import annotations

from typing import NamedTuple

_HEAD = '''"""A broken plugin."""
import os, random, re, threading, time
from msgspec.structs import replace
from sortgate import hookimpl
from sortgate.types import LabelScore, Prediction
'''

_HOOKS = {
    "normalizer": ("normalizers", "register"),
    "tokenizer": ("tokenizers", "register"),
    "filter": ("tokenizers", "register.filter"),
    "postprocessor": ("postprocessors", "register"),
}


class Broken(NamedTuple):
    """One way to be broken.

    Attributes:
        check: that catches it.
        kind: of the component.
        code: of the class ``Thing``.
        name: of the component.
        says: part of the finding.
    """

    check: str
    kind: str
    code: str
    says: str
    name: str = "broken.thing.v1"

    @property
    def source(self) -> str:
        """The whole file."""
        hook, register = _HOOKS[self.kind]
        tail = f"@hookimpl\ndef sortgate_register_{hook}(register):\n    {register}({self.name!r}, Thing)\n"
        return f"{_HEAD}\n{self.code.strip()}\n\n{tail}"


#: What is wrong, in a word → the plugin.
BROKEN: dict[str, Broken] = {
    "asks_the_network": Broken(
        "import",
        "normalizer",
        """
import socket
try:
    socket.create_connection(("127.0.0.1", 9), timeout=1)
except OSError:
    pass

class Thing:
    "Looks whether there is a newer version."
    def __call__(self, text): return text
""",
        "broken.py:9 looks up '127.0.0.1'",
    ),
    "writes_a_file": Broken(
        "import",
        "normalizer",
        """
with open(__file__ + ".log", "a") as log:
    log.write("imported")

class Thing:
    "Leaves a log beside itself."
    def __call__(self, text): return text
""",
        "writes",
    ),
    "reads_a_file": Broken(
        "import",
        "normalizer",
        """
from pathlib import Path
WORDS = Path("/etc/passwd").read_text().split()

class Thing:
    "Reads its words when it is imported."
    def __call__(self, text): return text
""",
        "reads '/etc/passwd'",
    ),
    "starts_a_process": Broken(
        "import",
        "normalizer",
        """
os.system("true")

class Thing:
    "Starts a process when it is imported."
    def __call__(self, text): return text
""",
        "starts",
    ),
    "slow_import": Broken(
        "import-time",
        "normalizer",
        """
until = time.process_time() + 0.6
while time.process_time() < until:
    pass

class Thing:
    "Takes its time."
    def __call__(self, text): return text
""",
        "0.5 s are allowed",
    ),
    "ends_the_process": Broken(
        "load",
        "normalizer",
        "os._exit(0)",
        "ended with status 0",
    ),
    "malformed_name": Broken(
        "load",
        "normalizer",
        """
class Thing:
    "Has a name like no other."
    def __call__(self, text): return text
""",
        "component names read owner.thing.v1",
        name="Broken.Thing",
    ),
    "version_nought": Broken(
        "name",
        "normalizer",
        """
class Thing:
    "Counts its versions from nought."
    def __call__(self, text): return text
""",
        "a version from v1 on",
        name="broken.thing.v0",
    ),
    "no_docstring": Broken(
        "documentation",
        "normalizer",
        """
class Thing:
    def __call__(self, text): return text
""",
        "sortgate plugins show",
    ),
    "half_learned": Broken(
        "creation",
        "normalizer",
        """
class Thing:
    "Learns, and keeps it to itself."
    def fit(self, texts): self.known = set(texts)
    def __call__(self, text): return text
""",
        "has fit only",
    ),
    "tuple_of_tokens": Broken(
        "type",
        "tokenizer",
        """
class Thing:
    "Returns a tuple."
    def __call__(self, text): return tuple(text.split())
""",
        "return a list of strings",
    ),
    "parameters_unread": Broken(
        "parameters",
        "normalizer",
        """
class Thing:
    "Looks at its parameter when the first text comes."
    def __init__(self, mask="x"): self.mask = mask
    def __call__(self, text): return re.sub("[0-9]", self.mask.replace("\\\\", ""), text)
""",
        "fails only later",
    ),
    "any_parameter": Broken(
        "parameters",
        "normalizer",
        """
class Thing:
    "Takes what it is given."
    def __init__(self, **options): pass
    def __call__(self, text): return text
""",
        "**kwargs",
    ),
    "sorts_in_place": Broken(
        "purity",
        "filter",
        """
class Thing:
    "Sorts the list it was handed."
    def __call__(self, tokens):
        tokens.sort()
        return tokens
""",
        "work on a copy",
    ),
    "random_tokens": Broken(
        "determinism",
        "filter",
        """
class Thing:
    "Drops some tokens by chance."
    def __call__(self, tokens): return [token for token in tokens if random.random() < 0.9]
""",
        "a second time",
    ),
    "order_of_a_set": Broken(
        "determinism",
        "filter",
        """
class Thing:
    "Drops what comes twice, and with it the order."
    def __call__(self, tokens): return list(set(tokens))
""",
        "another PYTHONHASHSEED",
    ),
    "remembers": Broken(
        "determinism",
        "filter",
        """
class Thing:
    "Drops tokens that the text before had too."
    before = ()
    def __call__(self, tokens):
        before, self.before = self.before, tokens
        return [token for token in tokens if token not in before]
""",
        "remember nothing between calls",
    ),
    "ascii_only": Broken(
        "unicode",
        "normalizer",
        """
class Thing:
    "Knows the characters of the first plane."
    def __call__(self, text): return b"".join(ord(c).to_bytes(2, "little") for c in text).decode("utf-16-le")
""",
        "an emoji",
    ),
    "cuts_characters": Broken(
        "unicode",
        "tokenizer",
        """
class Thing:
    "Cuts words between UTF-16 units."
    def __call__(self, text):
        if len(text) > 4_000: return text.split()
        units = text.encode("utf-16-le")
        return [units[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(units), 2)]
""",
        "not valid Unicode",
    ),
    "first_word": Broken(
        "blank",
        "normalizer",
        """
class Thing:
    "Writes the first word in capitals."
    def __call__(self, text): return text.replace(text.split()[0], text.split()[0].upper(), 1)
""",
        "IndexError",
    ),
    "recursion": Broken(
        "huge",
        "normalizer",
        """
class Thing:
    "Calls itself for each hundred characters."
    def __call__(self, text): return text if len(text) < 100 else text[:50] + self(text[50:])
""",
        "RecursionError",
    ),
    "quadratic": Broken(
        "linear",
        "normalizer",
        """
class Thing:
    "Looks up the hash of what follows each second character."
    def __call__(self, text): return text if all(hash(text[at:]) for at in range(0, len(text), 2)) else ""
""",
        "times as long",
    ),
    "never_ends": Broken(
        "linear",
        "normalizer",
        """
class Thing:
    "Tries all ways to divide a run of letters."
    _pattern = re.compile(r"^(?:[a-z]+)*!$")
    def __call__(self, text): return "" if len(text) > 4_000 and self._pattern.match(text) else text
""",
        "busy after 7.5 s, in broken.py line 10",
    ),
    "over_budget": Broken(
        "budget",
        "normalizer",
        """
class Thing:
    "Waits for each text."
    def __call__(self, text):
        time.sleep(0.0015)
        return text
""",
        "µs are allowed",
    ),
    "batch_of_unique_texts": Broken(
        "batch",
        "normalizer",
        """
class Thing:
    "Normalizes each different text once."
    def __call__(self, text): return text.lower()
    def batch(self, texts): return [text.lower() for text in dict.fromkeys(texts)]
""",
        "answers",
    ),
    "batch_says_otherwise": Broken(
        "batch",
        "normalizer",
        """
class Thing:
    "Folds the case of batches."
    def __call__(self, text): return text.lower()
    def batch(self, texts): return [text.casefold() for text in texts]
""",
        "when called with it alone",
    ),
    "white_space_in_tokens": Broken(
        "by-white-space",
        "tokenizer",
        """
class Thing:
    "Keeps commas with what follows, and claims that white space ends a token."
    by_white_space = True
    def __call__(self, text): return re.findall(r",\\s*\\S+|[^\\s,]+|,", text)
""",
        "between white space",
    ),
    "pickled_state": Broken(
        "state-format",
        "filter",
        """
import pickle

class Thing:
    "Drops the tokens it has learned, which it pickles."
    def fit(self, items): self.known = sorted({token for tokens in items for token in tokens})[:20]
    def state(self): return pickle.dumps(self.known)
    def restore(self, state): self.known = pickle.loads(state)
    def __call__(self, tokens): return [token for token in tokens if token not in self.known]
""",
        "a pickle",
    ),
    "forgets": Broken(
        "state",
        "filter",
        """
import json

class Thing:
    "Keeps half of what it has learned."
    def fit(self, items): self.known = sorted({token for tokens in items for token in tokens})
    def state(self): return json.dumps(self.known[:3]).encode()
    def restore(self, state):
        self.known = json.loads(state.decode())
        if not isinstance(self.known, list): raise ValueError("not a list of tokens")
    def __call__(self, tokens): return [token for token in tokens if token not in self.known]
""",
        "but",
    ),
    "state_in_a_class": Broken(
        "spawn",
        "filter",
        """
import json

class Thing:
    "Keeps what it has learned where all of its kind see it, and loses it with the process."
    known = []
    def fit(self, items): Thing.known = sorted({token for tokens in items for token in tokens})[:50]
    def state(self): return b"learned"
    def restore(self, state):
        if state != b"learned": raise ValueError("not a state")
    def __call__(self, tokens): return [token for token in tokens if token not in Thing.known]
""",
        "in the process that made it",
    ),
    "takes_any_state": Broken(
        "state-damage",
        "filter",
        """
class Thing:
    "Reads what it can of a state."
    def fit(self, items): self.known = sorted({token for tokens in items for token in tokens if token.isascii()})[:50]
    def state(self): return "\\n".join(self.known).encode()
    def restore(self, state): self.known = state.decode("ascii", "ignore").split()
    def __call__(self, tokens): return [token for token in tokens if token not in self.known]
""",
        "another state than those bytes",
    ),
    "learns_from_a_set": Broken(
        "learning",
        "filter",
        """
import json

class Thing:
    "Learns fifty tokens, whichever come first."
    def fit(self, items): self.known = list({token for tokens in items for token in tokens})[:50]
    def state(self): return json.dumps(self.known).encode()
    def restore(self, state):
        self.known = json.loads(state)
        if type(self.known) is not list or not all(type(token) is str for token in self.known): raise ValueError("?")
    def __call__(self, tokens): return [token for token in tokens if token not in self.known]
""",
        "another PYTHONHASHSEED",
    ),
    "shared_buffer": Broken(
        "threads",
        "filter",
        """
class Thing:
    "Collects the tokens of a call where all calls see them."
    def __call__(self, tokens):
        self.kept = []
        for token in tokens:
            self.kept.append(token)
        time.sleep(0.00001)
        return list(self.kept)
""",
        "in one of eight threads",
    ),
    "thread_of_its_own": Broken(
        "fork",
        "normalizer",
        """
import queue

class Thing:
    "Has its texts normalized by a thread, which no fork takes along."
    def __init__(self):
        self.asked = queue.Queue()
        threading.Thread(target=self.work, daemon=True).start()
    def work(self):
        while True:
            text, answer = self.asked.get()
            answer.put(text.lower())
    def __call__(self, text):
        answer = queue.Queue()
        self.asked.put((text, answer))
        return answer.get()
""",
        "no answer within seconds",
    ),
    "score_above_one": Broken(
        "scores",
        "postprocessor",
        """
class Thing:
    "Prefers billing."
    def __call__(self, prediction):
        scores = [(entry.label, entry.score * (3 if entry.label == "billing" else 1)) for entry in prediction.labels]
        labels = tuple(LabelScore(*pair) for pair in sorted(scores, key=lambda pair: -pair[1]))
        if not labels or prediction.label is None: return replace(prediction, labels=labels)
        return replace(prediction, label=labels[0].label, score=min(1.0, labels[0].score), labels=labels)
""",
        "not from 0 to 1",
    ),
    "unsorted_labels": Broken(
        "ranking",
        "postprocessor",
        """
class Thing:
    "Sorts the labels by name."
    def __call__(self, prediction):
        return replace(prediction, labels=tuple(sorted(prediction.labels, key=lambda entry: entry.label)))
""",
        "not sorted best first",
    ),
    "label_listed_twice": Broken(
        "ranking",
        "postprocessor",
        """
class Thing:
    "Lists the last label once more."
    def __call__(self, prediction): return replace(prediction, labels=prediction.labels + prediction.labels[-1:])
""",
        "listed twice",
    ),
    "forgets_truncated": Broken(
        "truncated",
        "postprocessor",
        """
class Thing:
    "Makes a new prediction of the old one."
    def __call__(self, prediction): return Prediction(prediction.label, prediction.score, prediction.labels)
""",
        "msgspec.structs.replace",
    ),
    "invents_an_error": Broken(
        "error",
        "postprocessor",
        """
from sortgate.types import PredictionError

class Thing:
    "Calls a low score an error."
    def __call__(self, prediction):
        return prediction if prediction.score > 0.5 else replace(prediction, error=PredictionError("unsure", "unsure"))
""",
        "abstain with label None",
    ),
}
