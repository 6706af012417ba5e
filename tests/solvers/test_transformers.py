"""Parameter groups of language and vision models of transformers, built from small configurations."""

from typing import Any

import pytest
import torch
import transformers

from solvers import RAMDA, GroupLasso, parameter_groups, structure_levels

LINEAR, ATTENTION = GroupLasso(1e-3, "input"), GroupLasso(2e-3, "output")
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
TEXT = {**SIZES, "vocab_size": 64, "max_position_embeddings": 32, "bos_token_id": 1, "eos_token_id": 2}


def gpt2():
    config = transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=16, vocab_size=64, n_positions=32, bos_token_id=1, eos_token_id=2
    )
    return transformers.GPT2LMHeadModel(config)


def bert():
    return transformers.BertForMaskedLM(transformers.BertConfig(**TEXT))


def vit():
    return transformers.ViTForImageClassification(transformers.ViTConfig(**SIZES, image_size=8, patch_size=4))


def llama():
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**TEXT, num_key_value_heads=1))


def t5():
    config = transformers.T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, vocab_size=64)
    return transformers.T5ForConditionalGeneration(config)


#: attention and linear weights, in two layers unless noted; the output layer where it is not tied; embeddings.
MODELS = [
    pytest.param(gpt2, 4, 4, 2, "in_out", id="gpt2"),
    pytest.param(bert, 8, 4 + 1, 3, "out_in", id="bert"),  # + the transform of the head
    pytest.param(vit, 8, 4 + 1, 0, "out_in", id="vit"),
    pytest.param(llama, 8, 6 + 1, 1, "out_in", id="llama"),
    pytest.param(t5, 8 + 16, 4 + 4, 1 + 2, "out_in", id="t5"),  # the decoder has two attentions a layer
]


@pytest.mark.parametrize(("build", "attention", "linear", "embeddings", "order"), MODELS)
def test_weights_by_kind(build, attention, linear, embeddings, order):
    groups = parameter_groups(build(), linear=LINEAR, attention=ATTENTION)
    by_kind: dict[str, Any] = {}
    for entry in groups.assignments:
        by_kind.setdefault(entry.kind, []).append(entry)
    assert len(by_kind["attention"]) == attention
    assert len(by_kind["linear"]) == linear
    assert len(by_kind.get("embedding", [])) == embeddings
    assert {entry.regularizer for entry in by_kind["attention"]} == {GroupLasso(2e-3, "output", order)}
    assert {entry.regularizer for entry in by_kind["linear"]} == {GroupLasso(1e-3, "input", order)}
    assert all(entry.regularizer is None for entry in by_kind.get("embedding", []) + by_kind["other"])


@pytest.mark.parametrize("build", [gpt2, bert, llama])
def test_an_input_that_nothing_reads_is_a_zero_group(build):
    """A hidden unit of the feed-forward part whose outgoing weights are zero: one group of the layer that reads it."""
    model = build()
    groups = parameter_groups(model, linear=LINEAR)
    names = {"gpt2": "h.1.mlp.c_proj.weight", "bert": "layer.1.output.dense.weight", "llama": "1.mlp.down_proj.weight"}
    (entry,) = (e for e in groups.assignments if e.name.endswith(names[build.__name__]))
    weight = model.get_parameter(entry.name).detach().clone()
    hidden = max(weight.shape)
    weight.select(weight.shape.index(hidden), 5).zero_()
    structure = entry.regularizer.structure(weight)
    assert structure.numel() == hidden
    assert structure.nonzero().flatten().tolist() == [i for i in range(hidden) if i != 5]


@pytest.mark.filterwarnings("ignore:.*became zero as a whole")
def test_a_step_of_gpt2():
    model = gpt2()
    optimizer = RAMDA(parameter_groups(model, linear=GroupLasso(10.0), attention=GroupLasso(1e-6)), lr=1e-2)
    tokens = torch.randint(0, 64, (2, 8))
    model(input_ids=tokens, labels=tokens).loss.backward()
    optimizer.step()
    level = structure_levels(optimizer)["GroupLasso"]
    linear = 2 * 2 * 16 * 64
    assert (level.zeros, level.total) == (linear, linear + 2 * (16 * 48 + 16 * 16))
