"""LitServe: the bundle behind an HTTP server that gathers concurrent requests into batches."""

# no postponed annotations: LitServe makes the request's type of decode_request's
import os
from typing import Any

import litserve

#: Texts of a batch, and how long the first one waits for the others.
BATCH, WAIT_S = 64, 0.005


class Sorting(litserve.LitAPI):
    """One text a request, one label an answer."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - the interface's
        """Load the bundle once a process, on one thread."""
        from sortgate import Classifier

        self.classifier = Classifier.load(os.environ["BENCH_BUNDLE"], threads=1)

    def decode_request(self, request: dict[str, Any]) -> str:
        """Return the text."""
        text: str = request["text"]
        return text

    def batch(self, inputs: list[str]) -> list[str]:
        """Leave the texts a list; LitServe would stack arrays."""
        return inputs

    def unbatch(self, output: list[Any]) -> list[Any]:
        """Give each request its prediction."""
        return output

    def predict(self, x: list[str]) -> list[Any]:
        """Classify a batch."""
        return list(self.classifier(x))

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Return label and score."""
        return {"label": output.label, "score": output.score}


if __name__ == "__main__":
    server = litserve.LitServer(
        Sorting(max_batch_size=BATCH, batch_timeout=WAIT_S),
        accelerator="cpu",
        workers_per_device=int(os.environ["BENCH_PROCESSES"]),
    )
    server.run(
        host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), log_level="error", generate_client_file=False,
        num_api_servers=1,
    )  # fmt: skip
