"""Models open on the device and in the type that the configuration names, with the study's cache."""

import pytest
import torch

from mute.config.sections import EngineSection
from mute.engine import cache, sections
from mute.engine.opening import Opener
from mute.models import loading


@pytest.fixture(scope="module")
def folder(tmp_path_factory, random_model, tokenizer):
    folder = tmp_path_factory.mktemp("model")
    loading.save(random_model("bloom"), tokenizer, folder, {"producer": "test"})
    return folder


def test_a_model_opens_as_the_configuration_says(folder, tmp_path):
    config = {"study": {"results": str(tmp_path)}, "engine": {"device": "cpu", "dtype": "bfloat16", "cache_gb": 0.001}}
    model = Opener.of(config).open(folder)
    assert (model.device.type, model.dtype) == ("cpu", torch.bfloat16)
    kept = cache.of(model)
    assert kept is not None
    assert kept.limit == 10**6
    texts = sections.Texts(model, [[3, 4, 5], [6, 7]])
    texts.advance(2)
    assert texts.states.dtype == torch.bfloat16
    assert [p.suffix for p in tmp_path.rglob("*") if p.is_file()] == [".safetensors"]


def test_no_cache_where_none_is_wanted(folder, tmp_path):
    model = Opener(EngineSection(cache_gb=0), tmp_path).open(folder)
    assert cache.of(model) is None
    assert model.dtype == torch.float32
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
def test_a_device_that_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(ValueError, match=r"engine.device is .cuda., but torch finds only .*cpu here"):
        Opener(EngineSection(device="cuda"), tmp_path).open(folder)
