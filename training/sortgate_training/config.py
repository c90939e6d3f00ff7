"""The configuration of a training run: one frozen struct, which :mod:`.loading` reads, kept in the bundle."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from sortgate.textconfig import TextConfig, TextLimits
from sortgate_training.thresholds import parse_goal

Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


#: Bounds of ``epochs`` where the data decides, the steps that few texts get at least, and the tokens that bound these.
LEAST_EPOCHS, MOST_EPOCHS, LEAST_STEPS, ENOUGH_TOKENS = 4, 30, 2_500, 20_000_000
#: Training tokens up to which ``refit = "auto"`` trains on with the validation texts.
MOST_REFIT_TOKENS = 10_000_000


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class VocabularyConfig(_Section, frozen=True):
    """Which tokens get an embedding: those seen ``min_count`` times, at most ``max_size`` with the two specials."""

    min_count: Count = 2
    max_size: Annotated[int, msgspec.Meta(ge=3, le=2_000_000)] = 50_000


class SplitConfig(_Section, frozen=True):
    """Shares of the training file that are set aside where no file is given for them."""

    validation: Annotated[float, msgspec.Meta(gt=0, le=0.5)] = 0.1
    test: Annotated[float, msgspec.Meta(ge=0, le=0.4)] = 0.1


class ModelConfig(_Section, frozen=True):
    """The network.

    Attributes:
        cell: ``lstm`` has a fused path in training and can be quantised; ``gru`` has a quarter fewer weights.
        hidden: units of one direction.
        embedding: width of a token's vector.
        characters: whether the vectors of a token's character n-grams are added to its own: rare words learn from words
            that are written alike, and serving costs the same.
        vectors: file of pretrained word vectors (:mod:`sortgate_training.vectors`) to start from; empty for none.
        pretrained: file of ``sortgate pretrain`` to start from; empty for none.
        dropout: before the output layer, and between recurrent layers.
        embedding_dropout: of the token vectors' elements, the same ones throughout a text.
        token_dropout: share of tokens that training replaces by the unknown token.
    """

    cell: Literal["lstm", "gru"] = "lstm"
    layers: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1
    hidden: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 64
    embedding: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 128
    characters: bool = True
    vectors: str = ""
    pretrained: str = ""
    bidirectional: bool = True
    dropout: Share = 0.5
    embedding_dropout: Share = 0.3
    token_dropout: Share = 0.1

    def __post_init__(self) -> None:
        if self.vectors and self.pretrained:
            raise ValueError("model.vectors and model.pretrained: one of them only")


class NgramConfig(_Section, frozen=True):
    """The n-gram path beside the recurrent one.

    Attributes:
        enabled: without it the bundle is the recurrent network alone.
        min_count: rarer pairs of words and character n-grams are left out.
        max_pairs: pairs of words kept at most, the most frequent ones.
        characters: shortest and longest character n-gram, word boundaries included.
        iterations: of L-BFGS, at most, for each strength of the penalty.
    """

    enabled: bool = True
    min_count: Count = 2
    max_pairs: Annotated[int, msgspec.Meta(ge=0, le=5_000_000)] = 500_000
    characters: tuple[Count, Count] = (2, 5)
    iterations: Count = 50

    def __post_init__(self) -> None:
        if self.characters[0] > self.characters[1]:
            raise ValueError("the shortest character n-gram is longer than the longest")


class LossConfig(_Section, frozen=True):
    """What is minimised; ``focal`` is Lin et al. 2017, eq. 4.

    Attributes:
        class_weights: ``balanced`` weighs labels by the inverse of their frequency; a table names
            weights, 1 for others.
        logit_adjustment: τ of Menon et al. 2021: the loss, and only the loss, adds τ·log(a label's share) to its logit,
            so that 1 serves labels as if they were equally frequent. One label a text only.
        adversarial: how far a text's token vectors together are moved to where its loss rises most, to learn from
            there, too, in every second step, which takes up to twice the time; in norms of a token's vector (Miyato et
            al. 2017 move normalized vectors of 256 elements by 5: 0.3 such norms). 0 for not at all.
    """

    name: Literal["cross_entropy", "focal"] = "cross_entropy"
    label_smoothing: Share = 0.0
    class_weights: Literal["none", "balanced"] | dict[str, Positive] = "none"
    focal_gamma: NotNegative = 2.0
    logit_adjustment: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    adversarial: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.4


class DistillationConfig(_Section, frozen=True):
    """How a student learns from teachers (:mod:`sortgate_training.distillation`).

    Attributes:
        weight: of what the teachers say; the labels have the rest.
        temperature: softens both sides, so that what teachers think of the labels that they do not give counts, too.
    """

    weight: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.7
    temperature: Positive = 2.0


class OptimizerConfig(_Section, frozen=True):
    """How weights move.

    Attributes:
        gradient_clip: bound of the gradient's norm (Pascanu et al. 2013), 0 for none.
        averaging: what is judged and kept is a running average of the weights, of which each step keeps this share
            (Polyak & Juditsky 1992): steadier from epoch to epoch, and better; 0 for the weights themselves.
    """

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: Positive = 3e-3
    weight_decay: NotNegative = 0.01
    momentum: Share = 0.9
    gradient_clip: NotNegative = 1.0
    averaging: Share = 0.998


class ScheduleConfig(_Section, frozen=True):
    """The learning rate over time: up from 0 during ``warmup`` (share of all steps), then down to 0, or constant."""

    name: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Share = 0.1


class ThresholdsConfig(_Section, frozen=True):
    """Multi-label: what each label's threshold is chosen for: ``f1``, ``precision>=0.95`` or ``recall>=0.9``."""

    goal: str = "f1"

    def __post_init__(self) -> None:
        parse_goal(self.goal)


class AbstainConfig(_Section, frozen=True):
    """Single-label: ``precision>=0.95`` answers only where that share of answers is right; empty: always answers."""

    goal: str = ""

    def __post_init__(self) -> None:
        if self.goal and parse_goal(self.goal).figure != "precision":
            raise ValueError("to abstain is chosen for a precision, such as precision>=0.95")


class ReportConfig(_Section, frozen=True):
    """What the bundle's report says; nothing of it changes the classifier.

    Attributes:
        baselines: whether baselines are trained beside the classifier; ``auto`` leaves out what takes minutes.
        examples: whether the report quotes texts. Who may read the bundle may read them.
    """

    baselines: bool | Literal["auto"] = "auto"
    examples: bool = True


class TrainingConfig(_Section, frozen=True):
    """Everything that decides what comes out of a run, given the data.

    Attributes:
        preset: whose values (:mod:`sortgate_training.presets`) stand in for the defaults.
        epochs: passes over the training texts at most; ``auto`` is as many as make 2,500 steps, or 20 million tokens
            where that are fewer, at least 4 and at most 30.
        patience: epochs without a better ``metric`` on the validation texts after which training stops.
        metric: decides which epoch is the best, with the n-gram path included: the loss, macro-F1 (the lower loss among
            equal ones) or accuracy (likewise). ``auto`` is the loss, since next to a good n-gram path the others
            hardly change while the network learns; for sets of labels it is macro-F1, which sees the thresholds.
        batch_size: texts of one step at most.
        batch_tokens: tokens of one step at most, padding included: bounds the memory of long texts.
        sampling: which texts an epoch has, always as many as there are training texts: ``none`` each once, ``balanced``
            as many of every label, a number between 0 and 1 something between: labels by their count to the power of 1
            minus that. One label a text only.
        refit: whether, when everything is chosen, the classifier is trained on with training and validation texts
            together, with what was chosen: the validation texts have taught nothing otherwise. It takes a third of the
            epochs, one at least, and the n-gram path's fits once more, so ``auto`` does up to 10 million tokens. Not
            with a time budget, and not in distillation.
        seed: of the split, the order, the initial weights and dropout.
        precision: ``auto`` serves int8 where it is faithful to float32, by :mod:`sortgate_training.precision`.
    """

    text: TextConfig = msgspec.field(default_factory=TextConfig)
    limits: TextLimits = TextLimits(max_tokens=800, truncation="head_tail")
    vocabulary: VocabularyConfig = VocabularyConfig()
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    ngrams: NgramConfig = NgramConfig()
    loss: LossConfig = LossConfig()
    distillation: DistillationConfig = DistillationConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    preset: Literal["fast", "balanced", "max"] = "balanced"
    thresholds: ThresholdsConfig = ThresholdsConfig()
    abstain: AbstainConfig = AbstainConfig()
    report: ReportConfig = ReportConfig()
    epochs: Count | Literal["auto"] = "auto"
    patience: Count = 5
    metric: Literal["auto", "macro_f1", "accuracy", "loss"] = "auto"
    batch_size: Count = 64
    batch_tokens: Count = 16_384
    sampling: Literal["none", "balanced"] | Annotated[float, msgspec.Meta(ge=0, le=1)] = "none"
    refit: bool | Literal["auto"] = "auto"
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**63 - 1)] = 0
    precision: Literal["float32", "int8", "auto"] = "float32"

    def __post_init__(self) -> None:
        if len(chosen := self.favours()) > 1:
            raise ValueError(f"{' and '.join(chosen)} each make rare labels count for more: set one of them only")

    def favours(self) -> list[str]:
        """Return the key that is set to make rare labels count for more, if one is."""
        used = {
            "loss.class_weights": self.loss.class_weights != "none",
            "loss.logit_adjustment": self.loss.logit_adjustment > 0,
            "sampling": self.sampling not in ("none", 0),
        }
        return [key for key in used if used[key]]

    def epochs_of(self, steps: int, tokens: int) -> int:
        """Return how many epochs there are at most, given the steps and tokens of one."""
        if self.epochs != "auto":
            return self.epochs
        enough = min(-(-LEAST_STEPS // steps), -(-ENOUGH_TOKENS // tokens))
        return min(MOST_EPOCHS, max(LEAST_EPOCHS, enough))

    def refits(self, tokens: int) -> bool:
        """Return whether to train on with all texts, given how many tokens the training texts have."""
        return self.refit is True or (self.refit == "auto" and tokens <= MOST_REFIT_TOKENS)

    def to_dict(self) -> dict[str, Any]:
        """Return plain tables, for the manifest."""
        tables: dict[str, Any] = msgspec.to_builtins(self)
        return tables
