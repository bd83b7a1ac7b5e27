"""Train the model at image build time: `python -m churn.train DIRECTORY` writes the model, twice, and its card."""

import json
import sys
from pathlib import Path

import joblib
import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from .features import FEATURES

SEED = 7


def _fit(rows: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    """Fit on scaled features, then fold the scaling into the coefficients: the same model in one step."""
    scaler = StandardScaler().fit(rows)
    model = LogisticRegression(random_state=SEED).fit(scaler.transform(rows), labels)
    model.coef_ = model.coef_ / scaler.scale_
    model.intercept_ = model.intercept_ - model.coef_ @ scaler.mean_
    return model


def train(directory: Path) -> dict[str, object]:
    """Fit, measure on data held back, write model.joblib, model.json and card.json, and return the card."""
    data = load_breast_cancer()
    columns = [list(data.feature_names).index(name.replace("_", " ")) for name in FEATURES]
    # scikit-learn calls malignant 0; the rarer, interesting class is the positive one here.
    labels = 1 - data.target
    x_train, x_test, y_train, y_test = train_test_split(
        data.data[:, columns], labels, test_size=0.25, random_state=SEED, stratify=labels
    )
    model = _fit(x_train, y_train)
    scores = model.predict_proba(x_test)[:, 1]
    card = {
        "data": "scikit-learn breast cancer (Wisconsin, diagnostic); stands in for churn data",
        "positive": "malignant",
        "features": list(FEATURES),
        "rows": {"train": len(y_train), "test": len(y_test)},
        "metrics": {
            "auc": round(float(roc_auc_score(y_test, scores)), 4),
            "accuracy": round(float(accuracy_score(y_test, scores > 0.5)), 4),  # noqa: PLR2004
        },
        "format": {"name": "sklearn", "version": sklearn.__version__},
        "limitations": "A demonstration. Never use it on people or on customers.",
    }
    directory.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, directory / "model.joblib")
    numbers = {"coefficients": model.coef_[0].tolist(), "intercept": float(model.intercept_[0])}
    (directory / "model.json").write_text(json.dumps(numbers) + "\n")
    (directory / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    return card


if __name__ == "__main__":
    print(json.dumps(train(Path(sys.argv[1]))["metrics"]))
