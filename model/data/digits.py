"""The digits that come with scikit-learn."""

from __future__ import annotations

import numpy as np
import torch

from penstock.model.data.dataset import Dataset, moments
from penstock.program.base.optional import require


def load_digits(split_seed: int = 0) -> Dataset:
    """The 1797 8x8 digits of scikit-learn; a stratified fifth (360) is the test set.

    `split_seed` is apart from a training seed: runs with different seeds share a test set.
    """
    raw = require("sklearn.datasets").load_digits()
    images = raw.images.astype(np.uint8)[:, None]  # [1797, 1, 8, 8], 0..16
    split = require("sklearn.model_selection").train_test_split
    train_x, test_x, train_y, test_y = split(
        images, raw.target, test_size=0.2, random_state=split_seed, stratify=raw.target
    )
    train_images = torch.from_numpy(train_x)
    mean, std = moments(train_images, 16)
    return Dataset(
        name="digits",
        train_images=train_images,
        train_labels=torch.from_numpy(train_y).to(torch.int64),
        test_images=torch.from_numpy(test_x),
        test_labels=torch.from_numpy(test_y).to(torch.int64),
        full_scale=16,
        mean=mean,
        std=std,
        shift=1,
        mirror=False,
        class_names=tuple("0123456789"),
        augment_share=0.5,  # moving all of them leaves nothing for the gates to tell apart
    )
