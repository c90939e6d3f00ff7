"""Writes a configuration as commented TOML: every key with what it does, only what differs from the defaults set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sortgate_training.checks.findings import Suggestion
from sortgate_training.loading import known_keys, load_config

#: What each key does, in a line.
EXPLANATIONS = {
    "preset": "fast, balanced or max: sets several keys below; a key that is set wins over it",
    "epochs": "passes over the training texts at most; auto: as many as make 2,500 steps or 20 million tokens, 4 to 30",
    "patience": "epochs without a better validation metric after which training stops",
    "metric": "what decides on the best epoch: loss, accuracy or macro_f1; auto: loss, for sets of labels macro_f1",
    "batch_size": "texts of one step at most",
    "batch_tokens": "tokens of one step at most, padding included: bounds the memory of long texts",
    "sampling": "which texts an epoch has: none (each once), balanced (as many of every label), or between, as 0.5",
    "refit": "train on with training and validation texts when all is chosen; auto: up to 10 million tokens",
    "seed": "of the split, the order, the initial weights and dropout",
    "precision": "what is served: float32, int8, or auto (int8 where it costs 0.2 points at most)",
    "text.normalizers": "components from text to text, in order; `sortgate plugins` lists what there is",
    "text.tokenizer": "the component from text to tokens: sortgate.words.v1, .characters.v1, .bpe.v1, .unigram.v1",
    "text.filters": "components from tokens to tokens, such as sortgate.stop_words.v1",
    "text.postprocessors": "components from scores to labels, such as sortgate.threshold.v1",
    "limits.max_text_bytes": "a longer text is refused; UTF-8, as it comes",
    "limits.max_characters": "likewise, after each normalizer",
    "limits.max_tokens": "the rest of a longer text is cut off; time grows with it",
    "limits.truncation": "what is kept of a longer text: head, or head_tail (its beginning and its end)",
    "limits.head_share": "share of max_tokens that head_tail keeps of the beginning",
    "vocabulary.min_count": "rarer tokens are unknown to the model",
    "vocabulary.max_size": "tokens of the vocabulary at most",
    "split.validation": "share of the training texts set aside to choose the epoch by, where no file is given",
    "split.test": "share set aside to judge by, where no file is given",
    "model.cell": "lstm (fused in training, can be int8) or gru (a quarter fewer weights)",
    "model.layers": "recurrent layers",
    "model.hidden": "units of one direction: the time to serve grows with it",
    "model.embedding": "width of a token's vector",
    "model.characters": "add the vectors of a token's character n-grams to its own",
    "model.vectors": "file of pretrained word vectors, GloVe's or fastText's text format; empty for none",
    "model.pretrained": "file that `sortgate pretrain` has made of texts without labels; empty for none",
    "model.bidirectional": "read the text backwards, too",
    "model.dropout": "before the output layer and between layers: more against overfitting",
    "model.embedding_dropout": "of the token vectors' elements",
    "model.token_dropout": "share of the tokens that training hides",
    "ngrams.enabled": "the n-gram path beside the network",
    "ngrams.min_count": "rarer pairs of words and character n-grams are left out",
    "ngrams.max_pairs": "pairs of words at most: bounds the size of the bundle",
    "ngrams.characters": "shortest and longest character n-gram",
    "ngrams.iterations": "of fitting the path, at most, for each strength of the penalty",
    "loss.name": "cross_entropy or focal",
    "loss.label_smoothing": "share of the target that goes to the other labels",
    "loss.class_weights": "none, balanced, or a table of weights by label",
    "loss.focal_gamma": "how far focal loss neglects what is easy",
    "loss.logit_adjustment": "1 serves labels as if equally frequent, which costs accuracy; 0.5 is half of that, 0 off",
    "loss.adversarial": "learn to withstand moves of a text's token vectors by so many norms of one, 0 for none",
    "distillation.weight": "`sortgate distill` only: of what the teachers say; the labels have the rest",
    "distillation.temperature": "likewise: the higher, the more is learned of the labels that a teacher does not give",
    "optimizer.name": "adamw, adam or sgd",
    "optimizer.learning_rate": "lower it when the loss diverges",
    "optimizer.weight_decay": "pulls weights towards 0",
    "optimizer.momentum": "of sgd",
    "optimizer.gradient_clip": "bound of the gradient's norm, 0 for none",
    "optimizer.averaging": "share of the running average of the weights that each step keeps, 0 for none",
    "thresholds.goal": "several labels a text only: f1, or such as precision>=0.95 or recall>=0.9, label by label",
    "abstain.goal": "one label a text only: such as precision>=0.95, below which no label is given; empty for never",
    "report.baselines": "true, false or auto: train TF-IDF with a linear SVM beside it, unless that takes minutes",
    "report.examples": "whether the report quotes texts: who may read the bundle may read them",
    "schedule.name": "the learning rate over time: cosine, linear or constant",
    "schedule.warmup": "share of the steps in which it rises",
}


def render_config(suggestions: Iterable[Suggestion] = (), preset: str = "balanced", head: Sequence[str] = ()) -> str:
    """Return the file's text.

    Args:
        suggestions: what is set, each with its reason.
        preset: whose values are the defaults that the comments name.
        head: lines of the comment at the top.
    """
    chosen = {suggestion.key: suggestion for suggestion in suggestions}
    if preset != "balanced":
        chosen["preset"] = Suggestion("preset", preset, "as asked for")
    defaults = load_config(overrides={"preset": preset}).to_dict()
    lines = [f"# {_line(line)}" for line in head]
    lines += ["# A line without a leading # is set; the others are the defaults."]
    keys = known_keys()
    # TOML wants the keys of no table before the first table
    for key in [*(key for key in keys if "." not in key), *(key for key in keys if "." in key)]:
        table, _, name = key.rpartition(".")
        if table and f"[{table}]" not in lines:
            lines += ["", f"[{table}]"]
        elif not table:
            lines.append("")
        if key in EXPLANATIONS:
            lines.append(f"# {name}: {EXPLANATIONS[key]}")
        default = f"{name} = {to_toml(_at(defaults, key))}"
        if suggestion := chosen.get(key):
            was = "" if key == "preset" else f" (default: {to_toml(_at(defaults, key))})"
            lines += [f"# set: {_line(suggestion.reason)}{was}", f"{name} = {to_toml(suggestion.value)}"]
        else:
            lines.append(f"# {default}")
    return "\n".join(lines) + "\n"


def to_toml(value: Any) -> str:
    """Return a value of a configuration as TOML; a component without parameters is its name."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int() | float():
            return repr(value)
        case {"name": name, "params": params} if not params:
            return to_toml(name)
        case Mapping():
            pairs = (f"{to_toml(str(key))} = {to_toml(item)}" for key, item in value.items())
            return f"{{ {', '.join(pairs)} }}" if value else "{}"
        case _:
            return f"[{', '.join(map(to_toml, value))}]"


def _line(comment: str) -> str:
    """Return a comment on one line: TOML allows no control characters in it."""
    return "".join(character if character.isprintable() else " " for character in comment)


def _at(tables: Mapping[str, Any], key: str) -> Any:
    value: Any = tables
    for part in key.split("."):
        value = value[part]
    return value
