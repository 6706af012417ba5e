"""The optimizers inside frameworks: wrapped, distributed, scheduled by them, saved and restored by them."""

import warnings
from typing import Any

import pytest
import torch

from solvers import (
    RAMDA,
    GroupLasso,
    Stages,
    parameter_groups,
    structure_levels,
    structured_iterate,
    structured_iterate_swapped_in,
    unwrapped,
)
from tests.registry import optimizers, weighted

ALL = optimizers()


class Wrapper:
    """As frameworks wrap an optimizer, some under a private name."""

    def __init__(self, name, optimizer):
        setattr(self, name, optimizer)


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))


def advance(model, optimizer, steps=3, after=()):
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(16, 6)).square().mean().backward()
        optimizer.step()
        for each in after:
            each.step()


@pytest.mark.parametrize("names", [("optimizer",), ("_optimizer",), ("optim",), ("optimizer", "_optimizer", "optim")])
def test_wrapped_optimizers_are_opened(names):
    model = network()
    inner = RAMDA(parameter_groups(model, linear=GroupLasso(0.1)), momentum=0.1)
    wrapped: Any = inner
    for name in names:
        wrapped = Wrapper(name, wrapped)
    advance(model, inner)
    assert unwrapped(wrapped) is inner
    assert structure_levels(wrapped) == structure_levels(inner)
    assert structured_iterate(wrapped).keys() == inner.structured_iterate().keys()
    before = model[0].weight.detach().clone()
    with structured_iterate_swapped_in(wrapped):
        assert not torch.equal(model[0].weight, before)
    assert torch.equal(model[0].weight, before)
    assert Stages(wrapped).optimizer is inner


@pytest.mark.parametrize(
    "stranger",
    [torch.optim.SGD([torch.ones(1)]), None, 3, Wrapper("optimizer", None)],
    ids=["SGD", "None", "3", "empty"],
)
def test_what_wraps_no_optimizer_of_ours_is_refused(stranger):
    with pytest.raises(TypeError, match="optimizer must be a StructuredOptimizer or wrap one, got"):
        unwrapped(stranger)
    with pytest.raises(TypeError, match="optimizer must be a StructuredOptimizer or wrap one, got"):
        structure_levels(stranger)


@pytest.mark.filterwarnings("ignore")
def test_accelerate():
    accelerate = pytest.importorskip("accelerate", reason="accelerate is optional")
    model, raw = network(), network()
    made = [RAMDA(parameter_groups(each, linear=GroupLasso(0.01)), momentum=0.5) for each in (model, raw)]
    stages = [Stages(each, [2], gamma=0.1) for each in made]
    accelerator = accelerate.Accelerator(cpu=True)
    prepared, optimizer, scheduler = accelerator.prepare(model, made[0], stages[0])
    torch.manual_seed(1)
    advance(prepared, optimizer, 5, [scheduler])
    torch.manual_seed(1)
    advance(raw, made[1], 5, [stages[1]])
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), raw.parameters(), strict=True))
    assert structure_levels(optimizer) == structure_levels(made[1])
    assert scheduler.get_last_lr() == stages[1].get_last_lr() == [pytest.approx(1e-3)] * 2
    assert Stages(optimizer).optimizer is made[0]


@pytest.mark.filterwarnings("ignore")
def test_trainer_of_transformers(tmp_path):
    """Stages as its scheduler: logged rates, and a run stopped at a checkpoint goes on as if it had not been."""
    transformers = pytest.importorskip("transformers", reason="transformers is optional")
    pytest.importorskip("accelerate", reason="the Trainer needs accelerate")

    class Regression(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = network()

        def forward(self, x, labels):
            loss = (self.layers(x) - labels).square().mean()
            return {"loss": loss}

    torch.manual_seed(3)
    data = [{"x": torch.randn(6), "labels": torch.randn(2)} for _ in range(48)]

    def trained(folder, steps, resume=None):
        transformers.set_seed(0)
        model = Regression()
        optimizer = RAMDA(parameter_groups(model, linear=GroupLasso(1e-3)), lr=0.1, momentum=0.2)
        stages = Stages(optimizer, [4], gamma=0.1)
        arguments = transformers.TrainingArguments(
            output_dir=str(folder), max_steps=steps, per_device_train_batch_size=8, save_steps=6, logging_steps=1,
            report_to=[], use_cpu=True, disable_tqdm=True, save_only_model=False,
        )  # fmt: skip
        trainer = transformers.Trainer(model, arguments, train_dataset=data, optimizers=(optimizer, stages))
        trainer.train(resume_from_checkpoint=resume)
        return model, optimizer, stages, trainer

    straight, optimizer, stages, trainer = trained(tmp_path / "straight", 10)
    rates = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.01)
    assert stages.steps == 10
    trained(tmp_path / "halted", 6)
    resumed, other, other_stages, _ = trained(tmp_path / "halted", 10, str(tmp_path / "halted" / "checkpoint-6"))
    assert other_stages.steps == 10
    assert other.param_groups[0]["momentum"] == optimizer.param_groups[0]["momentum"]
    for mine, theirs in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.filterwarnings("ignore")
def test_lightning(tmp_path):
    lightning: Any = pytest.importorskip("lightning", reason="lightning is optional")
    levels = []

    class Regression(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layers = network()

        def training_step(self, batch, index):
            return self.layers(batch).square().mean()

        def configure_optimizers(self):
            optimizer = RAMDA(parameter_groups(self, linear=GroupLasso(1e-2)), lr=0.1)
            stages = Stages(optimizer, [3], gamma=0.1)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": stages, "interval": "step"}}

        def on_train_batch_end(self, outputs, batch, index):
            levels.append(structure_levels(self.optimizers()))

    model = Regression()
    trainer = lightning.Trainer(
        max_steps=6, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=str(tmp_path), enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(model, torch.utils.data.DataLoader(torch.randn(48, 6), batch_size=8))
    assert len(levels) == 6
    assert trainer.lr_scheduler_configs[0].scheduler.steps == 6
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.01)


@pytest.fixture
def one_process(tmp_path):
    """A process group of this process alone, by a file."""
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


needs_distributed = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this torch is built without distributed training",
)


@needs_distributed
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", ALL)
def test_a_dtensor_is_refused_by_name(cls, one_process):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (1,))
    sharded: Any = torch.nn.Parameter(distribute_tensor(torch.randn(4, 3), mesh, [Shard(0)]))
    with pytest.raises(TypeError, match=r"parameter layer\.weight is a DTensor"):
        cls([("layer.weight", sharded)], regularizer=GroupLasso(0.1))


@needs_distributed
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check_finite", [True, False])
@pytest.mark.parametrize("cls", ALL)
def test_a_dtensor_that_a_framework_put_into_a_group_is_refused_at_the_step(cls, check_finite, one_process):
    """As accelerate does after fully_shard: the groups hold other parameters than those of the constructor."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (1,))
    optimizer = cls([torch.nn.Parameter(torch.zeros(4, 3))], check_finite=check_finite)
    sharded: Any = torch.nn.Parameter(distribute_tensor(torch.ones(4, 3), mesh, [Shard(0)]))
    sharded.grad = distribute_tensor(torch.ones(4, 3), mesh, [Shard(0)])
    optimizer.param_groups[0]["params"] = [sharded]
    with pytest.raises(TypeError, match="is a DTensor"):
        optimizer.step()
    assert not optimizer.state
    assert bool((sharded.to_local() == 1).all())


@needs_distributed
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("regularizer", weighted(1e-3, "for_layout"), ids=repr)
def test_distributed_checkpoints_restore_and_move_nothing(cls, regularizer, one_process):
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

    runs = []
    for restored in (False, True):
        model = network()
        optimizer = cls(parameter_groups(model, linear=regularizer), lr=0.05)
        advance(model, optimizer)
        if restored:
            saved, weights = get_optimizer_state_dict(model, optimizer), model.state_dict()
            model = network()
            model.load_state_dict(weights)
            before = [param.detach().clone() for param in model.parameters()]
            optimizer = cls(parameter_groups(model, linear=regularizer), lr=0.05)
            set_optimizer_state_dict(model, optimizer, saved)
            assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
        torch.manual_seed(5)
        advance(model, optimizer)
        runs.append(model)
    assert all(torch.equal(a, b) for a, b in zip(runs[0].parameters(), runs[1].parameters(), strict=True))


@needs_distributed
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("flat", [False, True], ids=["files", "flat"])
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("regularizer", weighted(1e-3, "for_layout"), ids=repr)
@pytest.mark.parametrize("cls", ALL)
def test_distributed_checkpoints_restore_stages_and_the_ramp(cls, regularizer, steps, flat, one_process, tmp_path):
    """They restore the keys and tensors that are there before loading; the momentum from which the ramp starts is one,
    what a solve leaves to the next one another.
    """
    import torch.distributed.checkpoint as checkpoint
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

    options = StateDictOptions(flatten_optimizer_state_dict=flat)

    def run():
        model = network()
        optimizer = cls(parameter_groups(model, linear=regularizer), lr=0.05)
        return model, optimizer, Stages(optimizer, [2])

    points = []
    for resumed in (False, True):
        model, optimizer, stages = run()
        torch.manual_seed(5)
        advance(model, optimizer, steps, [stages])
        if resumed:
            weights, saved = get_state_dict(model, optimizer, options=options)
            count = stages.state_dict()
            if not flat:
                checkpoint.save({"model": weights, "optimizer": saved}, checkpoint_id=tmp_path / "checkpoint")
            model, optimizer, stages = run()
            if not flat:
                weights, saved = get_state_dict(model, optimizer, options=options)
                checkpoint.load({"model": weights, "optimizer": saved}, checkpoint_id=tmp_path / "checkpoint")
            set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=saved, options=options)
            stages.load_state_dict(count)
        torch.manual_seed(6)
        advance(model, optimizer, 4, [stages])
        points.append([param.detach() for param in model.parameters()])
        points[-1] += [torch.tensor([group["lr"], group.get("momentum", 1.0)]) for group in optimizer.param_groups]
    assert all(map(torch.equal, *points))


@needs_distributed
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", ALL)
def test_data_parallel_training_is_training(cls, one_process):
    runs = []
    for parallel in (False, True):
        model = network()
        optimizer = cls(parameter_groups(model, linear=GroupLasso(1e-3)), lr=0.05)
        torch.manual_seed(5)
        advance(torch.nn.parallel.DistributedDataParallel(model) if parallel else model, optimizer)
        runs.append(model)
    assert all(torch.equal(a, b) for a, b in zip(runs[0].parameters(), runs[1].parameters(), strict=True))


def test_nothing_is_said_in_ordinary_training():
    model = network()
    with warnings.catch_warnings(action="error"):
        optimizer = RAMDA(parameter_groups(model, linear=GroupLasso(1e-4)))
        advance(model, optimizer, 5, [Stages(optimizer, [3])])
