"""Weights of other people: a forward pass written out in their convention makes what the model that is read makes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from helpers import error_message
from safetensors.numpy import save_file

from icl_theory import Layout, LinearRegression, Model, load_model, predict, random_weights, save_model
from icl_theory.models.files import read_model
from icl_theory.training.train import train

D, N, LAYERS = 4, 6, 4
RNG = np.random.default_rng(7)
PROMPT = LinearRegression(D - 1, noise_std=0.3).sample(1, batch=5, shots=N)


def matrices(rows: int, columns: int = D, layers: int = LAYERS, scale: float = 0.5) -> np.ndarray:
    return scale * RNG.standard_normal((layers, rows, columns))


def theirs(
    layers: list[dict[str, np.ndarray]],
    *,
    labels_first: bool = False,
    softmax: bool = False,
    sums: bool = False,
    causal: bool = False,
    scale: float = 1.0,
    heads: int = 1,
) -> np.ndarray:
    """ŷ of the query's label slot, read with a plus: rows of tokens, loops over heads and tokens, no code of ours."""
    answers = []
    for i in range(5):
        tokens = np.concatenate([PROMPT.x[i], PROMPT.y[i][:, None]], 1)
        query = np.concatenate([PROMPT.x_query[i], [0.0]])
        h = np.concatenate([tokens, query[None]])
        h = np.roll(h, 1, axis=1) if labels_first else h
        for layer in layers:
            new = h.copy()
            for j in range(N + 1):
                for head in range(heads):
                    parts = {name: np.split(layer[name], heads)[head] for name in ("k", "q", "v")}
                    seen = range(min(j + 1, N)) if causal else range(N)
                    scores = np.array([(parts["k"] @ h[m]) @ (parts["q"] @ h[j]) * scale for m in seen])
                    if softmax:
                        masked = (parts["k"] @ h[N]) @ (parts["q"] @ h[j]) * scale  # in the normaliser alone
                        weights = np.exp(scores) / (np.exp(scores).sum() + np.exp(masked) * (j == N or not causal))
                    else:
                        weights = scores if sums else scores / N
                    moved = sum(w * (parts["v"] @ h[m]) for w, m in zip(weights, seen, strict=True))
                    new[j] += np.split(layer["o"], heads, axis=1)[head] @ moved if "o" in layer else moved
            h = new
        answers.append(h[-1, 0 if labels_first else -1])
    return np.array(answers)


def stored(tmp_path: Path, **arrays: np.ndarray) -> Path:
    np.savez(tmp_path / "theirs.npz", **arrays)  # pyright: ignore[reportArgumentType]
    return tmp_path / "theirs.npz"


def agrees(model: Model, answers: np.ndarray, rtol: float = 1e-9) -> None:
    np.testing.assert_allclose(np.asarray(predict(model, PROMPT)), answers, rtol=rtol, atol=rtol)


def layered(k: np.ndarray, q: np.ndarray, v: np.ndarray, o: np.ndarray | None = None) -> list[dict[str, np.ndarray]]:
    found = [{"k": a, "q": b, "v": c} for a, b, c in zip(k, q, v, strict=True)]
    return found if o is None else [layer | {"o": m} for layer, m in zip(found, o, strict=True)]


PLUS = Layout(readout="plus")


@pytest.mark.parametrize("rows", [2, D, 7])
def test_separate_matrices(tmp_path: Path, rows: int) -> None:
    """Four layers of Q, K, V with an output matrix: fewer rows than the token, as many, and more."""
    k, q, v, o = matrices(rows), matrices(rows), matrices(rows), matrices(D, rows)
    model = load_model(stored(tmp_path, W_K=k, W_Q=q, W_V=v, W_O=o), PLUS)
    assert (model.layers, model.token_dim, model.heads) == (LAYERS, D, None)
    agrees(model, theirs(layered(k, q, v, o)))


def test_transposed(tmp_path: Path) -> None:
    """x @ W: what is stored is the transpose, the output matrix too."""
    k, q, v, o = matrices(2), matrices(2), matrices(2), matrices(D, 2)
    turned = {name: m.swapaxes(1, 2) for name, m in {"wk": k, "wq": q, "wv": v, "wo": o}.items()}
    agrees(load_model(stored(tmp_path, **turned), replace(PLUS, transposed=True)), theirs(layered(k, q, v, o)))


def test_labels_first(tmp_path: Path) -> None:
    """Tokens [y; x], with an MLP's shapes too."""
    k, q, v, o = matrices(2), matrices(2), matrices(2), matrices(D, 2)
    layout = replace(PLUS, labels_first=True)
    path = stored(tmp_path, key=k, query=q, value=v, output=o)
    agrees(load_model(path, layout), theirs(layered(k, q, v, o), labels_first=True))
    square = matrices(D)
    agrees(
        load_model(stored(tmp_path, key=k, query=q, value=square), layout),
        theirs(layered(k, q, square), labels_first=True),
    )


@pytest.mark.parametrize("name", ["kq", "qk"])
def test_merged_product(tmp_path: Path, name: str) -> None:
    """A of h_i · A h_q, or of h_q · A h_i."""
    k, q, v = matrices(D), matrices(D), matrices(D)
    product = k.swapaxes(1, 2) @ q
    arrays = {name: product if name == "kq" else product.swapaxes(1, 2), "v": v}
    found = read_model(stored(tmp_path, **arrays), PLUS)
    agrees(found.model, theirs(layered(k, q, v)))
    assert any("truncate key_query" in note for note in found.notes)


def test_heads(tmp_path: Path) -> None:
    """Two heads of two rows each, side by side, scores scaled."""
    k, q, v, o = matrices(4), matrices(4), matrices(4), matrices(D, 4)
    layout = replace(PLUS, packed_heads=2, scale=0.5**0.5)
    model = load_model(stored(tmp_path, q_proj=q, k_proj=k, v_proj=v, o_proj=o), layout)
    assert model.heads == 2
    agrees(model, theirs(layered(k, q, v, o), heads=2, scale=0.5**0.5))


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ({"kind": "softmax"}, {"softmax": True}),
        ({"normalization": "sum"}, {"sums": True}),
        ({"mask": "causal"}, {"causal": True}),
    ],
)
def test_attention(tmp_path: Path, options: dict[str, Any], changes: dict[str, Any]) -> None:
    """Softmax, sums, a causal mask."""
    k, q, v = matrices(D, layers=1), matrices(D, layers=1), matrices(D, layers=1)
    model = load_model(stored(tmp_path, K=k, Q=q, V=v), replace(PLUS, **options))
    agrees(model, theirs(layered(k, q, v), **changes))


def test_names(tmp_path: Path) -> None:
    """One array a layer, under names of frameworks or of one's own, counted from 0 or 1; other arrays are told."""
    k, q, v = matrices(D), matrices(D), matrices(D)
    answers = theirs(layered(k, q, v))
    kinds = {
        "blocks.{}.attn.{}_proj.weight": ("q", "k", "v"),
        "layers/{}/{}/kernel": ("query", "key", "value"),
        "{1}_{0}": ("Q", "K", "V"),
    }
    for pattern, words in kinds.items():
        for first in (0, 1):
            arrays = {
                pattern.format(t + first, word): m[t]
                for word, m in zip(words, (q, k, v), strict=True)
                for t in range(LAYERS)
            }
            found = read_model(stored(tmp_path, **arrays, embedding=np.ones(3)), PLUS)
            agrees(found.model, answers)
            assert "not read: embedding" in found.notes
    arrays = {f"a{t}": q[t] for t in range(LAYERS)} | {f"b_{t}_x": k[t] for t in range(LAYERS)} | {"c": v}
    names = ("query=a{layer}", "key=b_{layer}_x", "value=c")
    agrees(load_model(stored(tmp_path, **arrays), replace(PLUS, names=names)), answers)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_safetensors(tmp_path: Path, kind: Any) -> None:
    """safetensors of every precision, which the model remembers."""
    arrays = {name: matrices(D).astype(kind) for name in ("w_q", "w_k", "w_v")}
    if kind is ml_dtypes.bfloat16:
        import jax.numpy as jnp
        from safetensors.flax import save_file as save_flax

        save_flax({name: jnp.asarray(a) for name, a in arrays.items()}, tmp_path / "m.safetensors")
    else:
        save_file(arrays, tmp_path / "m.safetensors")
    model = load_model(tmp_path / "m.safetensors", PLUS)
    k, q, v = (arrays[name].astype(np.float64) for name in ("w_k", "w_q", "w_v"))
    agrees(model, theirs(layered(k, q, v)), 1e-12)
    assert model.precision == (None if kind is np.float64 else np.dtype(kind).name)


def test_mlp(tmp_path: Path) -> None:
    """A layer with an MLP, y first: its columns and rows are put in order too."""
    attention = [matrices(D, layers=2) for _ in range(3)]
    ours = Model.create(*attention, mlp_in=matrices(3, layers=2), mlp_out=matrices(D, 3, layers=2))
    order = np.roll(np.arange(D), 1)  # where our entries stand in [y; x]
    arrays = {name: getattr(ours, name)[:, order][:, :, order] for name in ("value", "key", "query")}
    arrays |= {"fc1": ours.mlp_in[:, :, order], "fc2": ours.mlp_out[:, order]}
    found = load_model(stored(tmp_path, **arrays), Layout(labels_first=True))
    np.testing.assert_array_equal(found.mlp_out, ours.mlp_out)
    np.testing.assert_allclose(predict(found, PROMPT), predict(ours, PROMPT), rtol=1e-13)


def test_vector_labels(tmp_path: Path) -> None:
    """Labels of two entries, first in the token."""
    ours = Model.create(*(matrices(D, layers=2) for _ in range(3)))
    order = np.roll(np.arange(D), 2)
    arrays = {name: getattr(ours, name)[:, order][:, :, order] for name in ("value", "key", "query")}
    found = load_model(stored(tmp_path, **arrays), Layout(labels_first=True, label_entries=2))
    np.testing.assert_array_equal(found.value, ours.value)


# The file's own predictions.


def with_predictions(path: Path, **changes: Any) -> tuple[Path, Layout]:
    k, q, v = matrices(D, layers=2), matrices(D, layers=2), matrices(D, layers=2)
    tokens = np.concatenate([PROMPT.tokens(), np.zeros((5, 1, D))], 1)
    tokens[:, -1, :-1] = PROMPT.x_query
    if changes.get("labels_first"):
        tokens = np.roll(tokens, 1, axis=2)
    answers = theirs(layered(k, q, v), **changes)
    return stored(path, wk=k, wq=q, wv=v, check_tokens=tokens, check_predictions=answers), PLUS


def test_declared_convention(tmp_path: Path) -> None:
    """Predictions in the file confirm the layout, and the residual is said."""
    path, layout = with_predictions(tmp_path)
    note = read_model(path, layout).notes[-1]
    assert note.startswith("its predictions on the 5 prompts of the file: largest difference ")
    assert float(note.split()[-4]) < 1e-12


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({"labels_first": True}, "labels_first=True"),
        ({"sums": True}, "normalization=sum"),
        ({"softmax": True}, "kind=softmax"),
        ({"softmax": True, "causal": True}, "kind=softmax mask=causal"),
    ],
)
def test_another_convention(tmp_path: Path, changes: dict[str, Any], fits: str) -> None:
    """Predictions that are not the model's are refused, with the convention that they are of."""
    path, layout = with_predictions(tmp_path, **changes)
    message = error_message(load_model, path, layout)
    assert "a model that differs by" in message
    assert f"they fit with {fits}" in message
    wrong = error_message(load_model, path, replace(layout, scale=0.9))
    assert "no other convention known here fits" in wrong


def test_wrong_readout(tmp_path: Path) -> None:
    path, _ = with_predictions(tmp_path)
    assert "they fit with readout=plus" in error_message(load_model, path)


# Refusals.


ONE = np.eye(4)
SQUARE = {name: matrices(D) for name in ("key", "query", "value")}


@pytest.mark.parametrize(
    ("arrays", "layout", "words"),
    [
        ({}, PLUS, ("arrays: got none among no arrays", "value, and key and query")),
        ({"value": SQUARE["value"]}, PLUS, ("arrays: got value", "role=name")),
        ({**SQUARE, "kq": SQUARE["key"]}, PLUS, ("arrays: got key, query, value, key_query",)),
        ({**SQUARE, "w_v": SQUARE["key"]}, PLUS, ("'value' and 'w_v', both of which could be value",)),
        ({**SQUARE, "query": matrices(3)}, PLUS, ("key, query: got shapes (4, 4) and (3, 4)", "equal shapes")),
        ({**SQUARE, "value": matrices(3)}, PLUS, ("value: got shape (3, 4)", "an output matrix")),
        ({**SQUARE, "key": matrices(D, 5)}, PLUS, ("value: got shape (4, 4), expected 5 columns",)),
        ({**SQUARE, "key": SQUARE["key"][:3]}, PLUS, ("layers: got 3 of key, 4 of query",)),
        ({**SQUARE, "attn.q.bias": np.ones(D)}, PLUS, ("a bias that is not zero ('attn.q.bias')",)),
        ({**SQUARE, "b_q": np.ones(D)}, PLUS, ("a bias that is not zero ('b_q')",)),
        ({**SQUARE, "fc1": matrices(3)}, PLUS, ("only one matrix of the MLP",)),
        ({**SQUARE, "value": SQUARE["value"][None]}, PLUS, ("shape of value: got (1, 4, 4, 4)", "packed_heads")),
        ({**SQUARE, "value": np.full((4, 4, 4), np.nan)}, PLUS, ("'value': got 64 entries that are NaN",)),
        (SQUARE, replace(PLUS, packed_heads=3), ("value: got shape (4, 4)", "an output matrix")),
        (SQUARE, replace(PLUS, names=("worth=value",)), ("names: got 'worth=value'", "a role among value")),
        (SQUARE, replace(PLUS, names=("value=v",)), ("names: got value=v", "one of key, query, value")),
        (SQUARE, replace(PLUS, names=("value=value", "value=key")), ("names: got value twice",)),
        (SQUARE, replace(PLUS, names=("value=value",)), ("arrays: got value",)),
        (SQUARE, replace(PLUS, scale=0.0), ("scale: got 0",)),
        (SQUARE, replace(PLUS, kind="sofmax"), ("kind: got 'sofmax'",)),
        ({"q_0": SQUARE["key"][0], "q_2": SQUARE["key"][0], **SQUARE, "query": SQUARE["query"]}, PLUS, ("query",)),
        (
            {"a.0.q": np.eye(4), "a.2.q": np.eye(4), "k": np.eye(4), "v": np.eye(4)},
            PLUS,
            ("layers of query: got [0, 2]",),
        ),
    ],
)
def test_refused(tmp_path: Path, arrays: dict[str, np.ndarray], layout: Any, words: tuple[str, ...]) -> None:
    """One line that says what was got, what was expected and what to do."""
    message = error_message(load_model, stored(tmp_path, **arrays), layout)
    for word in words:
        assert word in message


def test_zero_bias(tmp_path: Path) -> None:
    """Biases of zero change nothing."""
    assert load_model(stored(tmp_path, **SQUARE, bias=np.zeros(4)), PLUS).layers == LAYERS


def test_files(tmp_path: Path) -> None:
    """What is no file of numbers is refused before it is opened, or without running what it holds."""
    assert "no such file" in error_message(load_model, tmp_path / "none.npz")
    (tmp_path / "model.pt").write_bytes(b"pickle")
    assert "loading it could run code" in error_message(load_model, tmp_path / "model.pt")
    np.savez(tmp_path / "objects.npz", value=np.array([{"a": 1}], dtype=object))
    assert "holds pickled objects" in error_message(load_model, tmp_path / "objects.npz")
    for name in ("empty.npz", "text.npz", "text.safetensors", "short.safetensors"):
        (tmp_path / name).write_bytes(b"" if "empty" in name else b"these are words")
        assert "damaged or of another kind" in error_message(load_model, tmp_path / name)
    assert "without a weights.npz" in error_message(load_model, tmp_path)
    np.save(tmp_path / "one.npy", np.eye(3))
    assert "damaged or of another kind" in error_message(load_model, tmp_path / "one.npy")


def test_own_files(tmp_path: Path) -> None:
    """A file of ours says itself what it holds; a directory of a run is its weights, an ensemble."""
    model = random_weights(0, layers=2, token_dim=3)
    path = save_model(tmp_path / "own.npz", model)
    np.testing.assert_array_equal(load_model(path).value, model.value)
    assert "leave the layout out" in error_message(load_model, path, PLUS)
    result = train(LinearRegression(2), 0, layers=1, shots=5, steps=5, seeds=3)
    save_model(tmp_path / "weights.npz", result.models, losses=result.losses)
    assert load_model(tmp_path).seeds == 3
    assert read_model(tmp_path).notes == (f"{result.models!r}, written by save_model",)
