"""The page of the metric: paste predictions and ratings, read the numbers.

`evaluate`'s own page, `launch_gradio_widget`, calls what Gradio dropped in version 4.
"""

import json
from pathlib import Path

import evaluate
import gradio as gr

FOLDER = Path(__file__).resolve().parent
EXAMPLE = ("[[0, 0, 0, 0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0.5, 0, 0.5, 0, 0, 0, 0]]", "[9, 4]")

rating_metrics = evaluate.load(str(FOLDER / "rating_metrics.py"))


def compute(predictions: str, references: str) -> dict:
    """The metrics of predictions and references given as JSON."""
    try:
        return rating_metrics.compute(predictions=json.loads(predictions), references=json.loads(references))
    except (ValueError, TypeError) as error:
        raise gr.Error(str(error)) from error


card = (FOLDER / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2]
demo = gr.Interface(
    compute,
    inputs=[
        gr.Textbox(EXAMPLE[0], label="predictions: probabilities of the ratings 1..10, JSON", lines=4),
        gr.Textbox(EXAMPLE[1], label="references: the ratings given, JSON"),
    ],
    outputs=gr.JSON(label="metrics"),
    article=card,
    flagging_mode="never",
    api_name="compute",
)

if __name__ == "__main__":
    demo.launch()
