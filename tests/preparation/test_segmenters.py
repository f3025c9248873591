"""Masks of people whose skeletons are known, by a detector of everybody; and what is taken without its weights."""

import numpy as np
import pytest
import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn

from preparation import segmenters
from util.pretrained import Unavailable

STANDING = np.array([(20, 10), (21, 9), (19, 9), (22, 10), (18, 10), (25, 18), (15, 18), (27, 28), (13, 28), (28, 36),
                     (12, 36), (23, 38), (17, 38), (23, 50), (17, 50), (23, 60), (17, 60)], float)


def skeleton(x):
    return np.concatenate([STANDING + (x, 0), np.ones((17, 1))], axis=1)


class Detections(torch.nn.Module):
    """Finds what it is told."""

    def __init__(self, masks, labels, scores):
        super().__init__()
        self.found = {"masks": torch.tensor(np.stack(masks))[:, None].float(), "labels": torch.tensor(labels),
                      "scores": torch.tensor(scores)}

    def forward(self, pictures):
        assert [tuple(picture.shape) for picture in pictures] == [(3, 70, 120)]
        return [self.found]


def box(left, right):
    mask = np.zeros((70, 120), np.float32)
    mask[4:66, left:right] = 0.9
    return mask


def test_each_detection_goes_to_the_skeleton_in_it_and_what_is_no_person_to_nobody():
    network = Detections([box(60, 100), box(5, 35), box(60, 100)], [1, 1, 2], [0.9, 0.8, 0.99])
    masks = segmenters.by_detections(network)(np.zeros((70, 120, 3), np.uint8), [skeleton(0), skeleton(60)])
    assert (masks[0] > 0.5).sum() == pytest.approx(62 * 30, rel=0.02) and masks[0][:, 60:].max() < 0.1
    assert (masks[1] > 0.5)[:, 65:95].sum() == pytest.approx(62 * 30, rel=0.02) and masks[1][:, :40].max() < 0.1
    unsure = Detections([box(5, 35)], [1], [0.3])
    assert segmenters.by_detections(unsure)(np.zeros((70, 120, 3), np.uint8), [skeleton(0)])[0].max() == 0


def test_mask_rcnn_runs_on_a_picture():
    torch.manual_seed(0)
    network = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, min_size=64, max_size=128,
                                    rpn_post_nms_top_n_test=8, box_detections_per_img=2, box_score_thresh=0)
    masks = segmenters.by_detections(network)(np.full((70, 120, 3), 90, np.uint8), [skeleton(0), skeleton(60)])
    assert [mask.shape for mask in masks] == [(70, 120)] * 2 and all(mask.min() >= 0 for mask in masks)


def test_where_the_larger_network_cannot_be_fetched_the_smaller_one_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDEO_PRETRAINED", "off")
    monkeypatch.setattr(segmenters, "BlazePose", lambda: None)
    monkeypatch.setattr(segmenters.MASK_RCNN.__class__, "file_name", "not there.pth")
    chosen = segmenters.best_at_hand(None)
    assert chosen.name == "mediapipe" and segmenters.MASK_RCNN.url in chosen.lacking
    with pytest.raises(Unavailable, match="--segmenter mediapipe"):
        segmenters.best_at_hand("mask_rcnn")
    assert segmenters.best_at_hand("mediapipe").lacking == ""
