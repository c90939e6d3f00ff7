"""The built-in components and sortgate-nltk pass the conformance kit, by the line that plugin authors write."""

from __future__ import annotations

import pytest

from sortgate.testing import conformance

test_builtin = pytest.mark.slow(
    conformance(
        "sortgate",
        params={"sortgate.stop_words.v1": {"language": "en"}, "sortgate.top_k.v1": {"k": 2}},
    )
)

test_nltk = pytest.mark.slow(
    conformance(
        "sortgate-nltk",
        excused={"nltk.tweet.v1-linear": "its time grows with the square of some texts, as its README says"},
    )
)
