"""What training of video-to-video synthesis is said to cost, against steps that are taken."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from models.vid2vid_cost import frame_cost
from models.vid2vid_model import Vid2VidModel
from models.vid2vid_temporal import Growth
from tests.vid2vid_case import parsed


@pytest.mark.parametrize("arguments", ["--label_nc 5 --use_instance --n_scales_spatial 2", "--input_nc 3 --num_D 2"])
def test_operations_are_those_of_a_step(arguments):
    opt = parsed(f"{arguments} --gpu_ids -1 --no_vgg --flow_net still --ngf 8 --ndf 8 --n_blocks 2 --num_D 1 "
                 "--n_downsample_G 2 --n_blocks_local 1 --n_scales_temporal 1")
    model = Vid2VidModel(opt)
    model.start_phase(model.phases()[0])
    model.growth = Growth(1, 3, 3)
    things = torch.arange(64.0).expand(1, 5, 1, 32, 64)  # all labels are there: others cost nothing on the CPU
    batch = {"A": things % 5 if opt.label_nc else torch.ones(1, 5, 3, 32, 64),
             "B": torch.rand(1, 5, 3, 32, 64) * 2 - 1, "inst": things}
    with FlopCounterMode(display=False) as counter:
        model.optimize_parameters(batch)
    item = {"A": batch["A"][0]}
    cost = model.cost(model.phase, item, 2, 1)
    ratio = cost.tflop * 1e12 / (2 * counter.get_total_flops())
    assert 1 <= ratio < 1.25, "first layers, which weigh more in small networks, have no gradient of their input"
    assert cost.cpu_seconds > 0 and 0.5 < cost.gib < 1


def test_memory_grows_with_frames_and_work_with_the_square_of_widths():
    narrow, wide = (frame_cost(parsed(f"--input_nc 3 --no_vgg --n_blocks 9 --ndf 8 --ngf {ngf}"), (64, 64))
                    for ngf in (16, 32))
    assert 3 < wide.flop["generators"] / narrow.flop["generators"] < 4
    assert 1.7 < wide.kept / narrow.kept < 2.1
    large = frame_cost(parsed("--input_nc 3 --no_vgg --n_blocks 9 --ndf 8 --ngf 16"), (128, 64))
    assert large.flop["generators"] == 2 * narrow.flop["generators"]
