"""The whole check, part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from sortgate.errors import DataError
from sortgate.plugins import Registry
from sortgate.plugins.components import Learned
from sortgate.textpath import TextPath
from sortgate_training.checks.content import find_constants, find_suspicious
from sortgate_training.checks.findings import DataReport, Finding, SetFigures
from sortgate_training.checks.labels import find_foreign_labels, find_label_problems
from sortgate_training.checks.parts import Part, read_part
from sortgate_training.checks.repeats import find_empty, find_leakage, find_repeats
from sortgate_training.checks.scripts import language_shares, script_shares
from sortgate_training.checks.suggest import suggest
from sortgate_training.checks.tokens import TokenCounts, find_token_problems, find_unknown
from sortgate_training.config import TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.datafiles import DataFiles
from sortgate_training.labelling import LabelSet
from sortgate_training.split import stratified_split


def check_data(
    files: DataFiles,
    config: TrainingConfig,
    registry: Registry,
    text_column: str | None = None,
    label_column: str | None = None,
    label_separator: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> DataReport:
    """Read all parts and return what there is to know.

    Args:
        files: from :func:`sortgate_training.datafiles.find_files`.
        config: whose text path, limits and shares are checked against.
        registry: components to choose from.
        text_column: as for :func:`sortgate_training.readers.read_rows`.
        label_column: likewise.
        label_separator: as for :func:`sortgate_training.data.read_corpus`.
        tell: is told what comes next.

    Raises:
        DataError: a file cannot be read, or held-out texts may have several labels and the training texts one.
        PluginError: a component of the text path is unknown or refuses its parameters.
    """
    paths = {"train": files.train, "validation": files.validation, "test": files.test}
    if label_separator == "":
        raise DataError("--label-separator: what stands between labels must not be empty")
    parts = [
        read_part(name, listed, text_column, label_column, label_separator) for name, listed in paths.items() if listed
    ]
    train, others = parts[0], parts[1:]
    for other in others:
        _as_task_of(train, other)
    path = TextPath.create(config.text, registry, config.limits)
    if any(isinstance(step.component, Learned) for step in (*path.normalizers, path.tokenizer, *path.filters)):
        tell("fitting the text path")
        path.fit(train.texts, min_count=config.vocabulary.min_count)
    report = DataReport(True, config.limits.max_tokens, [part.report for part in parts])
    tokens = {}
    for part in parts:
        tell(f"reading {part.report.file}")
        tokens[part.name] = TokenCounts(path, part.texts)
        part.report.labels = _counts(part.label_sets)
        part.report.sets = None if part.sets is None else _describe_sets(part.sets)
        part.report.scripts = script_shares(part.texts)
        part.report.languages = language_shares(part.texts)
        report.findings += _findings(part, train, tokens[part.name], config)
    trainable = not any(finding.level == "error" for finding in report.findings)
    unknown = 0.0
    for name, rate in _unknown_rates(train, others, tokens, path, config, trainable):
        part = next((other for other in others if other.name == name), train)
        part.report.unknown_tokens = rate
        unknown = max(unknown, rate)
        report.findings += find_unknown(part, rate)
    report.trainable = trainable
    if trainable:
        report.suggestions = list(suggest(train, unknown, not files.validation, config))
    return report


def _findings(part: Part, train: Part, tokens: TokenCounts, config: TrainingConfig) -> Iterator[Finding]:
    for note in part.notes:
        yield Finding("note", "columns", part.name, 1, note)
    yield from find_empty(part)
    if part is train:
        yield from find_label_problems(part)
    else:
        yield from find_foreign_labels(train, part)
        yield from find_leakage(train, part)
        known = set(train.report.scripts)
        new = {name: share for name, share in part.report.scripts.items() if name not in known and share >= 0.01}
        if new:
            name, share = next(iter(new.items()))
            yield Finding(
                "warning", "scripts", part.name, round(share * len(part)),
                f"{share:.1%} of the texts are in {name}, which no training text is",
                "add training texts in that script",
            )  # fmt: skip
    yield from find_token_problems(part, tokens, config)
    yield from find_repeats(part)
    yield from find_suspicious(part, config.limits, tokens.too_long)
    if part is train:
        yield from find_constants(part)


def _unknown_rates(
    train: Part,
    others: list[Part],
    tokens: dict[str, TokenCounts],
    path: TextPath,
    config: TrainingConfig,
    trainable: bool,
) -> Iterator[tuple[str, float]]:
    """Yield each held-out part's share of unknown tokens; where there is none, that of the part to be split off."""
    if others:
        known = tokens["train"].known(config)
        for other in others:
            yield other.name, tokens[other.name].unknown_in(known)
    elif trainable:
        shares = {"validation": config.split.validation, "test": config.split.test}
        labels = [] if train.sets is not None else train.labels
        corpus = Corpus(train.texts, labels, train.report.file, sets=train.sets)
        rows = stratified_split(corpus, **shares, seed=config.seed)
        learned = TokenCounts(path, [train.texts[row] for row in rows.train])
        held_out = TokenCounts(path, [train.texts[row] for row in [*rows.validation, *rows.test]])
        yield "train", held_out.unknown_in(learned.known(config))


def _as_task_of(train: Part, other: Part) -> None:
    """Make one label a set of one where the training texts have sets; refuse the reverse, as training does."""
    if train.sets is None and other.sets is not None:
        raise DataError(
            f"{other.report.file}: several labels a text, where {train.report.file} has one; see --label-separator"
        )
    if train.sets is not None:
        other.sets = other.label_sets


def _counts(sets: list[LabelSet]) -> dict[str, int]:
    counts = Counter(label for labels in sets for label in labels)
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _describe_sets(sets: list[LabelSet]) -> SetFigures:
    sizes = Counter(map(len, sets))
    mean = sum(size * count for size, count in sizes.items()) / len(sets)
    return SetFigures(round(mean, 4), len({*sets}), sizes[0], dict(sorted(sizes.items())))
